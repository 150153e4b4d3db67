import { randomInt } from 'node:crypto';
import { isIPv4 } from 'node:net';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { SeededRandom } from '../../local/embedded/seeded-random.ts';
import { MintmarkError } from '../../shared/errors.ts';
import type { DistinguishedName } from '../../shared/issuance/distinguished-name.ts';
import type { GeneralName } from '../../shared/issuance/general-names.ts';
import { objectIdentifiers } from '../../shared/issuance/object-identifiers.ts';
import { opensslAccepts } from '../fixtures/csr/make.ts';
import { decode, encode } from '../fixtures/csr/tree.ts';
import { type Agreement, compareVerdicts, type Divergence } from './certification-requests/divergences.ts';
import { fixedRequests } from './certification-requests/fixed.ts';
import { type Mutant, type MutantKind, makeMutants } from './certification-requests/mutants.ts';
import { makeSigners, opensslOriginals, pycaOriginals } from './certification-requests/originals.ts';
import { explains, type Reason, readReasons } from './certification-requests/reasons.ts';
import {
  judge,
  type OpensslReading,
  type OurReading,
  ourVerdict,
  type PycaName,
  type PycaReading,
  type Verdicts,
  versionsOf,
} from './certification-requests/verdicts.ts';
import { withoutPython } from './judges.ts';

/** Printed; `MINTMARK_TEST_SEED=n` makes the same changes again, of keys that are new each time. */
const seed = Number(process.env['MINTMARK_TEST_SEED'] ?? randomInt(2 ** 31));

/** `MINTMARK_TEST_REQUESTS=n` for a longer run. */
const count = Number(process.env['MINTMARK_TEST_REQUESTS'] ?? 20_000);

const { python } = inject('judges');

function pythonProgram(): string {
  if (python.kind !== 'installed') throw new Error(python.sentence);
  return python.python;
}

const withoutLibrary =
  python.kind === 'installed' && versionsOf(python.python).openssl === null
    ? ' (skipped: needs the libcrypto of OpenSSL 3, which was not found on this machine)'
    : undefined;
const skipped = withoutPython ?? withoutLibrary;

interface Judged extends Mutant {
  readonly ours: OurReading | MintmarkError;
  readonly verdicts: Verdicts;
  readonly agreement: Agreement;
}

/** A request that can be looked at again, whatever the keys of the next run. */
const shown = ({ kind, what, der, ours, verdicts }: Judged): object => ({
  kind,
  what,
  der: der.toString('hex'),
  ours: ours instanceof MintmarkError ? `${ours.code}: ${ours.message}` : 'accepted',
  pyca: 'refused' in verdicts.pyca ? verdicts.pyca.refused : 'accepted',
  openssl: 'refused' in verdicts.openssl ? verdicts.openssl.refused : 'accepted',
});

/** Enough to see what is wrong; a mistake in the reader may have thousands. */
const firstOf = (judged: readonly Judged[]): object[] => judged.slice(0, 5).map(shown);

function nameAsPyca(name: DistinguishedName): PycaName {
  return name.map((rdn) => rdn.map(({ type, tag, value }) => [type, tag, value] as const));
}

/** The octets of an address, read by hand: 4, or 16 of eight groups, of which `::` stands for those that are zero. */
function addressOctets(address: string): string {
  const dotted = (text: string): string => Buffer.from(text.split('.').map(Number)).toString('hex');
  if (isIPv4(address)) return dotted(address);
  const groups = (text: string): string =>
    text
      .split(':')
      .filter((group) => group !== '')
      .map((group) => (group.includes('.') ? dotted(group) : group.padStart(4, '0')))
      .join('');
  const [head = '', tail] = address.split('::').map(groups);
  return tail === undefined ? head : head.padEnd(32 - tail.length, '0') + tail;
}

function generalNameAsPyca(name: GeneralName): readonly unknown[] {
  switch (name.kind) {
    case 'directoryName':
      return [name.kind, nameAsPyca(name.value)];
    case 'iPAddress':
      return [name.kind, addressOctets(name.value)];
    case 'otherName':
      return [name.kind, name.typeId, Buffer.from(name.value).toString('hex')];
    default:
      return [name.kind, name.value];
  }
}

function signatureKind(algorithm: string): string {
  if (algorithm.startsWith('1.2.840.10045.4.3.')) return 'ecdsa';
  if (algorithm === objectIdentifiers.idRsassaPss) return 'rsa-pss';
  if (algorithm.startsWith('1.2.840.113549.1.1.')) return 'rsa-pkcs1-v1_5';
  return algorithm === objectIdentifiers.idEd25519 ? 'ed25519' : algorithm;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** What we read, in pyca/cryptography's words. */
function asPyca({ request, subjectAltName }: OurReading): object {
  const { signatureAlgorithm } = request;
  return {
    certificationRequestInfo: hex(request.certificationRequestInfo),
    subject: nameAsPyca(request.subject),
    subjectPublicKeyInfo: hex(request.subjectPublicKeyInfo),
    signatureAlgorithm: {
      algorithm: signatureAlgorithm.algorithm,
      hash: 'hash' in signatureAlgorithm ? signatureAlgorithm.hash : null,
      saltLength: 'saltLength' in signatureAlgorithm ? signatureAlgorithm.saltLength : null,
    },
    signature: hex(request.signature),
    extensions: request.requestedExtensions.map(({ extnID, critical }) => [extnID, critical]),
    subjectAltName: subjectAltName.map(generalNameAsPyca),
  };
}

function inOurWords(reading: PycaReading): object {
  const { signatureAlgorithm } = reading;
  return {
    ...reading,
    signatureAlgorithm: { ...signatureAlgorithm, algorithm: signatureKind(signatureAlgorithm.algorithm) },
  };
}

/** What we read, as openssl encodes it. */
function asOpenssl({ request }: OurReading): OpensslReading {
  const whole = decode(Buffer.from(request.der));
  const signatureAlgorithm = 'children' in whole ? whole.children[1] : undefined;
  return {
    subject: hex(request.subjectDer),
    subjectPublicKeyInfo: hex(request.subjectPublicKeyInfo),
    signatureAlgorithm: signatureAlgorithm === undefined ? '' : hex(encode(signatureAlgorithm)),
  };
}

function tally<T>(values: Iterable<T>, keyOf: (value: T) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const value of values) counts[keyOf(value)] = (counts[keyOf(value)] ?? 0) + 1;
  return counts;
}

describe.skipIf(skipped !== undefined)(
  `certification requests, beside pyca/cryptography and openssl${skipped ?? ''}`,
  () => {
    let judged: Judged[];

    beforeAll(async () => {
      const signers = await makeSigners();
      const originals = [...opensslOriginals(signers), ...pycaOriginals(pythonProgram())];
      const made = makeMutants(SeededRandom.of(seed), { originals, signers }, count);
      const requests = [...fixedRequests(signers.allowed), ...made];
      const asking = judge(
        pythonProgram(),
        requests.map(({ der }) => der),
      );
      const ours = requests.map(({ der }) => ourVerdict(der));
      const { versions, verdicts } = await asking;
      judged = requests.map((request, index) => {
        const [our, theirs] = [ours[index], verdicts[index]];
        if (our === undefined || theirs === undefined) throw new Error('a request without verdicts');
        return { ...request, ours: our, verdicts: theirs, agreement: compareVerdicts(request.der, our, theirs) };
      });
      const figures = {
        requests: judged.length,
        seed,
        ...versions,
        kinds: tally(judged, ({ kind }) => kind),
        verdicts: tally(judged, ({ agreement }) =>
          typeof agreement === 'string' ? agreement : `${agreement.by} alone refuses`,
        ),
      };
      console.info(JSON.stringify(figures));
    });

    it('are of every kind, most of them signed as they are, accepted and refused', () => {
      const kinds = tally(judged, ({ kind }) => kind);
      const every: readonly MutantKind[] = [
        'by hand',
        'elements changed, signed',
        'generated, signed',
        'key in another form, signed',
        'key of a kind that is refused, signed',
        'octets changed',
        'octets changed, signed',
        'signature in another form',
        'signature of a kind that is refused, signed',
      ];
      expect(Object.keys(kinds).sort()).toEqual(every);
      const isSigned = judged.filter(({ kind }) => kind.endsWith(', signed')).length;
      expect(isSigned).toBeGreaterThan(judged.length / 2);
      const { 'all accept': accepted = 0, 'all refuse': refused = 0 } = tally(judged, ({ agreement }) =>
        String(agreement),
      );
      expect(accepted).toBeGreaterThan(judged.length / 20);
      expect(refused).toBeGreaterThan(judged.length / 20);
    });

    it('is never accepted here where both refuse it', () => {
      const accepted = judged.filter(({ agreement }) => agreement === 'both refuse, we accept');
      expect(firstOf(accepted), `seed ${seed}`).toEqual([]);
    });

    const divergenceOf = ({ agreement }: Judged): Divergence | undefined =>
      typeof agreement === 'string' ? undefined : agreement;

    /** The first row is the one that counts: what is more general comes after. */
    const reasonOf = (reasons: readonly Reason[], each: Judged): Reason | undefined => {
      const divergence = divergenceOf(each);
      return divergence === undefined ? undefined : reasons.find((reason) => explains(reason, divergence));
    };

    it('differs only for the reasons in docs/csr.md', () => {
      const reasons = readReasons();
      const unexplained = judged.filter(
        (each) => divergenceOf(each) !== undefined && reasonOf(reasons, each) === undefined,
      );
      expect(firstOf(unexplained), `seed ${seed}`).toEqual([]);
    });

    it('shows every reason in docs/csr.md', () => {
      const reasons = readReasons();
      const seen = new Set(judged.map((each) => reasonOf(reasons, each)));
      expect(reasons.filter((reason) => !seen.has(reason))).toEqual([]);
    });

    it('is read as pyca/cryptography reads it, value by value', () => {
      const both = judged.flatMap(({ ours, verdicts: { pyca } }) =>
        ours instanceof MintmarkError || 'refused' in pyca ? [] : [{ ours, pyca }],
      );
      expect(both.length).toBeGreaterThan(judged.length / 20);
      for (const { ours, pyca } of both) expect(asPyca(ours), hex(ours.request.der)).toEqual(inOurWords(pyca));
    });

    it('is read as openssl reads it, octet by octet', () => {
      const both = judged.flatMap(({ ours, verdicts: { openssl } }) =>
        ours instanceof MintmarkError || 'refused' in openssl ? [] : [{ ours, openssl }],
      );
      expect(both.length).toBeGreaterThan(judged.length / 20);
      for (const { ours, openssl } of both) expect(asOpenssl(ours), hex(ours.request.der)).toEqual(openssl);
    });

    it("is to openssl's command what it is to its library", async () => {
      const random = SeededRandom.of(seed).named('command');
      const sample = random.shuffled(judged).slice(0, 200);
      const verdicts = await opensslAccepts(sample.map(({ der }) => der));
      const differing = sample.filter(({ verdicts: { openssl } }, index) => verdicts[index] === 'refused' in openssl);
      expect(firstOf(differing), `seed ${seed}`).toEqual([]);
    });
  },
);
