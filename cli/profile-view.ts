import {
  describeGranted,
  describeProblem,
  type Profile,
  type ProfileProblem,
  type Specimen,
} from '../shared/issuance/index.ts';
import { isoTime, shortTime } from './json.ts';

/** A profile's certificate, for people: one line for each thing that somebody asks about it. */
export function specimenLines(file: string, specimen: Specimen): readonly string[] {
  const { profile, deviceId, key, names, onRequest, certificate } = specimen;
  const rows: readonly (readonly [string, string])[] = [
    [
      'subject',
      names.subject.map(({ type, value }) => `${type} ${value}`).join(', ') || 'empty; the subjectAltName is critical',
    ],
    ['subjectAltName', names.subjectAltName.map(describeGranted).join(', ')],
    ['on request', [...onRequest, ...registeredNames(profile)].join(', ') || 'no further name'],
    ['validity', `${shortTime(specimen.notBefore)} to ${shortTime(specimen.notAfter)}${clamping(profile)}`],
    ['keys', keysOf(profile)],
    ['keyUsage', profile.keyUsage.join(', ')],
    ['extendedKeyUsage', profile.extendedKeyUsage.join(', ')],
    ...policiesOf(profile),
    ...(profile.extensions ?? []).map(
      ({ extnID, critical, extnValue }) =>
        ['extension', `${extnID}${critical ? ', critical' : ''}: ${extnValue}`] as const,
    ),
    ['revocation', profile.revocation === 'none' ? 'none (noRevAvail, RFC 9608)' : "CRL of the certificate's shard"],
    ['issuer', profile.issuer],
    ['devices', `registration ${profile.registration}; senders: ${sendersOf(profile)}`],
    ...renewalOf(profile),
    ...quotaOf(profile),
    ['size', `${certificate.length} bytes of DER, with a P-256 issuer`],
  ];
  const width = Math.max(...rows.map(([label]) => label.length));
  return [
    `${profile.name}: ${file}, SHA-256 ${profile.hash.slice(0, 16)}...`,
    `  for the device ${deviceId}, with a key of ${key}:`,
    ...rows.map(([label, text]) => `  ${label.padEnd(width)}  ${text}`),
  ];
}

const clamping = ({ validity }: Profile): string =>
  validity.beyondIssuer === 'clamp' ? ", or to the end of the issuing CA's certificate" : '';

const registeredNames = ({ subjectAltName: { registered = 'never' } }: Profile): readonly string[] =>
  registered === 'never'
    ? []
    : [`the names of the device's registration (${registered === 'always' ? 'always' : 'on request'})`];

function keysOf({ keys: { ec, rsa, ed25519, reuse } }: Profile): string {
  const kinds = [
    ...(ec?.curves ?? []),
    ...(rsa === undefined ? [] : [`RSA of ${rsa.minimumBits} to ${rsa.maximumBits} bits`]),
    ...(ed25519 === true ? ['Ed25519'] : []),
  ];
  return `${kinds.join(', ')}${reuse === 'refused' ? '; none that is live for another device' : ''}`;
}

const policiesOf = ({ certificatePolicies = [] }: Profile) =>
  certificatePolicies.map(
    ({ policyIdentifier, cPSuri }) =>
      ['certificatePolicy', cPSuri === undefined ? policyIdentifier : `${policyIdentifier}, CPS ${cPSuri}`] as const,
  );

const sendersOf = ({ allowedSenders }: Profile): string =>
  typeof allowedSenders === 'string' ? allowedSenders : allowedSenders.join(', ');

function renewalOf({ renewal }: Profile): readonly (readonly [string, string])[] {
  if (renewal === undefined) return [];
  const window =
    renewal.windowDays === undefined ? `${renewal.windowPercent} % of the lifetime` : `${renewal.windowDays} days`;
  const key = { new: 'with a new key', same: 'with the same key', either: 'with the same key or a new one' }[
    renewal.key
  ];
  return [['renewal', `in the last ${window}, ${key}`]];
}

function quotaOf({ quota = {} }: Profile): readonly (readonly [string, string])[] {
  const { liveCertificatesPerDevice, perDevicePerDay, perFleetPerHour, perHour } = quota;
  const limits = [
    ...(liveCertificatesPerDevice === undefined ? [] : [`${liveCertificatesPerDevice} live of a device`]),
    ...(perDevicePerDay === undefined ? [] : [`${perDevicePerDay} a day of a device`]),
    ...(perFleetPerHour === undefined ? [] : [`${perFleetPerHour} an hour of a fleet`]),
    ...(perHour === undefined ? [] : [`${perHour} an hour in all`]),
  ];
  return limits.length === 0 ? [] : [['quota', limits.join(', ')]];
}

export const problemLine = (problem: ProfileProblem): string => describeProblem(problem);

export const problemJson = (problem: ProfileProblem): object => ({ ...problem });

export const specimenJson = (file: string, specimen: Specimen): object => {
  const { profile, deviceId, key, names, onRequest, notBefore, notAfter, certificate } = specimen;
  return {
    name: profile.name,
    file,
    sha256: profile.hash,
    issuer: profile.issuer,
    specimen: {
      deviceId,
      key,
      subject: names.subject,
      subjectAltName: names.subjectAltName.map(describeGranted),
      onRequest,
      notBefore: isoTime(notBefore),
      notAfter: isoTime(notAfter),
      certificate: Buffer.from(certificate).toString('base64'),
    },
  };
};
