import { MintmarkError } from '../errors.ts';
import { type Item, number, readNumber, readString, readStrings, string, timestamp } from './attributes.ts';

/** What a registration says of what a device may have. What is left out restricts nothing; an empty list allows nothing. */
export interface DeviceTerms {
  /** Named in the rules about senders and in the fleet's quota. */
  readonly fleet?: string;
  /** IAM principal ids that may enrol it; without it, whoever the profile allows. */
  readonly allowedSenders?: readonly string[];
  /** SHA-256 of SubjectPublicKeyInfo's DER, in hex: these keys and no others. */
  readonly pinnedKeys?: readonly string[];
  /** Names for its subjectAltName, as `DNS:..`, `IP:..`, `URI:..` or `email:..`. */
  readonly allowedNames?: readonly string[];
  /** In place of the profile's quota. */
  readonly maximumLiveCertificates?: number;
}

/** A registered device. Times in milliseconds since the epoch. */
export interface Device extends DeviceTerms {
  readonly deviceId: string;
  readonly state: 'active' | 'blocked';
  readonly registeredAt?: number;
  readonly blockedAt?: number;
  readonly blockReason?: string;
}

/** The terms that are lists of texts. */
export const listTerms = ['allowedSenders', 'pinnedKeys', 'allowedNames'] as const;

/** Every attribute that a row of the devices table may have. */
const attributes: Readonly<Record<keyof Device, true>> = {
  deviceId: true,
  state: true,
  fleet: true,
  allowedSenders: true,
  pinnedKeys: true,
  allowedNames: true,
  maximumLiveCertificates: true,
  registeredAt: true,
  blockedAt: true,
  blockReason: true,
};

/**
 * The device in a row. Whatever this cannot read, or does not know, may be what restricts the device: a row that has such
 * is no device that anything is issued to, and says so.
 * @throws MintmarkError INTERNAL that names the attribute
 */
export function readDevice(item: Item): Device {
  const unknown = Object.keys(item).find((name) => !Object.hasOwn(attributes, name));
  if (unknown !== undefined) {
    throw new MintmarkError(
      'INTERNAL',
      `The row of a device has an attribute "${unknown}", which may be what restricts the device and is not known.`,
    );
  }
  return {
    deviceId: readString(item, 'deviceId'),
    // Anything but "active" counts as blocked: a state that this code does not know must not issue.
    state: readString(item, 'state') === 'active' ? 'active' : 'blocked',
    ...readTerms(item),
    ...readHistory(item),
  };
}

function readTerms(item: Item): DeviceTerms {
  const lists = listTerms.flatMap((name) => {
    const list = readStrings(item, name);
    return list === undefined ? [] : [[name, list] as const];
  });
  return {
    ...(item.fleet === undefined ? {} : { fleet: readString(item, 'fleet') }),
    ...Object.fromEntries(lists),
    ...(item.maximumLiveCertificates === undefined ? {} : { maximumLiveCertificates: readMaximum(item) }),
  };
}

/** What compares false with every number must not be taken for a limit. */
function readMaximum(item: Item): number {
  const maximum = readNumber(item, 'maximumLiveCertificates');
  if (Number.isSafeInteger(maximum) && maximum >= 0) return maximum;
  throw new MintmarkError('INTERNAL', 'A stored row has no whole number as its attribute "maximumLiveCertificates".');
}

/** When and why, for people: nothing is decided by it, so nothing ends for want of it. */
export function readHistory(item: Item): Pick<Device, 'registeredAt' | 'blockedAt' | 'blockReason'> {
  const [registeredAt, blockedAt] = [timeIn(item, 'registeredAt'), timeIn(item, 'blockedAt')];
  const reason = item.blockReason?.S;
  return {
    ...(registeredAt === undefined ? {} : { registeredAt }),
    ...(blockedAt === undefined ? {} : { blockedAt }),
    ...(reason === undefined ? {} : { blockReason: reason }),
  };
}

function timeIn(item: Item, name: string): number | undefined {
  const time = Date.parse(item[name]?.S ?? '');
  return Number.isNaN(time) ? undefined : time;
}

/** The row of a device, whole. */
export const deviceItem = (device: Device): Item => ({
  deviceId: string(device.deviceId),
  state: string(device.state),
  ...termItems(device),
  ...(device.registeredAt === undefined ? {} : { registeredAt: timestamp(device.registeredAt) }),
  ...(device.blockedAt === undefined ? {} : { blockedAt: timestamp(device.blockedAt) }),
  ...(device.blockReason === undefined ? {} : { blockReason: string(device.blockReason) }),
});

/** The attributes of those terms that are there. */
export function termItems(terms: DeviceTerms): Item {
  const item: Item = {};
  if (terms.fleet !== undefined) item['fleet'] = string(terms.fleet);
  for (const name of listTerms) {
    const list = terms[name];
    if (list !== undefined) item[name] = { L: list.map(string) };
  }
  if (terms.maximumLiveCertificates !== undefined) {
    item['maximumLiveCertificates'] = number(terms.maximumLiveCertificates);
  }
  return item;
}
