import type { SeededRandom } from '../../../local/embedded/seeded-random.ts';
import {
  bitString,
  boolean,
  contextConstructed,
  contextPrimitive,
  namedBits,
  nullValue,
  objectIdentifier,
  octetString,
  printableString,
  sequence,
  setOf,
  tlv,
  unsignedInteger,
  utf8String,
} from '../../../shared/asn1/der-writer.ts';
import { objectIdentifiers } from '../../../shared/issuance/object-identifiers.ts';
import { attribute, extension } from '../../fixtures/csr/make.ts';
import { decode } from '../../fixtures/csr/tree.ts';
import type { Original, Signer } from './originals.ts';

/** Certification requests that are well formed, of random contents: each that is made is to be accepted by everyone. */

const texts = ['device-1', 'Example Pumps', 'a', '42', 'O=x, CN=y', "it's (a) test: 1/2 + 3?", 'x'.repeat(64)] as const;
const attributeTypes = [
  '2.5.4.3',
  '2.5.4.5',
  '2.5.4.7',
  '2.5.4.8',
  '2.5.4.10',
  '2.5.4.11',
  '2.5.4.12',
  '2.5.4.42',
  '0.9.2342.19200300.100.1.1',
  '1.3.6.1.4.1.32473.1',
  '2.999.1',
] as const;

const ia5String = (text: string): Uint8Array => tlv(0x16, Buffer.from(text, 'latin1'));

function nameValue(random: SeededRandom): Uint8Array {
  const text = random.pick(texts);
  switch (random.below(5)) {
    case 0:
      return printableString(text.replaceAll('=', '-'));
    case 1:
      return ia5String(`${text}@_*`);
    case 2:
      return tlv(0x12, Buffer.from('0123 456'));
    case 3:
      return utf8String(random.pick(['Gerätebau', '設備 🚰', 'девайс', '\u00a0', '\ufeffx', '\u202e']));
    default:
      return utf8String(text);
  }
}

function nameAttribute(random: SeededRandom): Uint8Array {
  if (random.chance(0.1)) return sequence(objectIdentifier('2.5.4.6'), printableString('DE'));
  if (random.chance(0.1)) {
    const type = random.pick(['1.2.840.113549.1.9.1', '0.9.2342.19200300.100.1.25']);
    return sequence(objectIdentifier(type), ia5String('device@example.com'));
  }
  return sequence(objectIdentifier(random.pick(attributeTypes)), nameValue(random));
}

function several<T>(random: SeededRandom, most: number, make: () => T, least = 0): T[] {
  return Array.from({ length: least + random.below(most - least + 1) }, make);
}

/** Each attribute type once in an RDN (X.501 section 9.3). */
function relativeDistinguishedName(random: SeededRandom): Uint8Array {
  if (random.chance(0.8)) return setOf(nameAttribute(random));
  const types = random.shuffled(attributeTypes).slice(0, 1 + random.below(3));
  return setOf(...types.map((type) => sequence(objectIdentifier(type), nameValue(random))));
}

const distinguishedName = (random: SeededRandom): Uint8Array =>
  sequence(...several(random, 4, () => relativeDistinguishedName(random)));

const bytes = (random: SeededRandom, length: number): Uint8Array =>
  Uint8Array.from({ length }, () => random.below(256));

function generalName(random: SeededRandom): Uint8Array {
  const text = (value: string) => Buffer.from(value, 'latin1');
  switch (random.below(9)) {
    case 0:
      return contextPrimitive(1, text(random.pick(['device@example.com', 'a@b'])));
    case 1:
      return contextPrimitive(7, bytes(random, 4));
    case 2:
      return contextPrimitive(7, bytes(random, 16));
    case 3:
      return contextPrimitive(8, objectIdentifier(random.pick(['1.2.3', '2.999.4'])).subarray(2));
    case 4:
      return contextConstructed(
        0,
        objectIdentifier('1.3.6.1.4.1.32473.2'),
        contextConstructed(0, random.chance(0.5) ? utf8String('x') : sequence(nullValue(), boolean(true))),
      );
    case 5:
      return contextConstructed(4, distinguishedName(random));
    case 6:
      return contextPrimitive(6, text(random.pick(['urn:dev:1', 'spiffe://example.com/d', 'x', ''])));
    default:
      return contextPrimitive(2, text(random.pick(['device-1.example.com', '*.Example.com.', 'xn--x', '1.2.3.4', ''])));
  }
}

const subjectAltName = (random: SeededRandom): Uint8Array =>
  sequence(...several(random, 4, () => generalName(random), 1));

/** extnValue by extnID. */
const extensionValues: Readonly<Record<string, (random: SeededRandom) => Uint8Array>> = {
  [objectIdentifiers.subjectAltName]: subjectAltName,
  [objectIdentifiers.keyUsage]: (random) => namedBits(random.pick([[0], [0, 2], [0, 4], [5, 6], [0, 8]])),
  [objectIdentifiers.basicConstraints]: (random) =>
    random.pick([sequence(), sequence(boolean(true)), sequence(boolean(true), unsignedInteger(Uint8Array.of(0)))]),
  [objectIdentifiers.extKeyUsage]: (random) =>
    sequence(...several(random, 3, () => objectIdentifier(`1.3.6.1.5.5.7.3.${1 + random.below(200)}`), 1)),
  [objectIdentifiers.subjectKeyIdentifier]: (random) => octetString(bytes(random, 20)),
  '1.3.6.1.5.5.7.1.24': () => sequence(unsignedInteger(Uint8Array.of(5))),
  '1.3.6.1.4.1.311.20.2': () => tlv(0x1e, Buffer.from('\0W\0e\0b')),
  '1.3.6.1.4.1.32473.3': (random) => bytes(random, random.below(300)),
};

function requestedExtensions(random: SeededRandom): Uint8Array {
  const extnIDs = random.shuffled(Object.keys(extensionValues)).slice(0, 1 + random.below(4));
  const chosen =
    random.chance(0.5) && !extnIDs.includes(objectIdentifiers.subjectAltName)
      ? [objectIdentifiers.subjectAltName, ...extnIDs]
      : extnIDs;
  return sequence(
    ...chosen.map((extnID) => {
      const value = extensionValues[extnID]?.(random) ?? new Uint8Array();
      return extension(extnID, value, ...(random.chance(0.3) ? [boolean(true)] : []));
    }),
  );
}

function attributes(random: SeededRandom): Uint8Array {
  const made: Uint8Array[] = [];
  if (random.chance(0.8)) {
    const type = random.chance(0.15) ? objectIdentifiers.microsoftExtensionRequest : objectIdentifiers.extensionRequest;
    made.push(attribute(type, requestedExtensions(random)));
  }
  if (random.chance(0.2)) made.push(attribute(objectIdentifiers.challengePassword, utf8String('challenge')));
  if (random.chance(0.2)) made.push(attribute(objectIdentifiers.unstructuredName, utf8String('a'), utf8String('b')));
  if (random.chance(0.2)) {
    const values = [
      sequence(nullValue(), boolean(true)),
      bitString(Uint8Array.of(0x80), 7),
      octetString(bytes(random, 9)),
    ];
    made.push(attribute('1.3.6.1.4.1.32473.4', random.pick(values)));
  }
  return contextConstructed(0, ...made.sort((a, b) => Buffer.compare(a, b)));
}

export function generate(random: SeededRandom, signer: Signer): Original {
  const info = sequence(
    tlv(0x02, Uint8Array.of(0)),
    distinguishedName(random),
    signer.subjectPublicKeyInfo,
    attributes(random),
  );
  return { name: `generated, ${signer.name}`, info: decode(Buffer.from(info)), signer };
}
