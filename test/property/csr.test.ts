import { randomInt } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { MintmarkError } from '../../shared/errors.ts';
import { readBasicConstraints } from '../../shared/issuance/basic-constraints.ts';
import { decodeCsr, parseCertificationRequest } from '../../shared/issuance/certification-request.ts';
import { readGeneralNames } from '../../shared/issuance/general-names.ts';
import { verifyProofOfPossession } from '../../shared/issuance/proof-of-possession.ts';
import { checkPublicKey, type KeyPolicy } from '../../shared/issuance/public-key.ts';
import { type MadeCsr, makeValidCsrs, opensslAccepts, pem, signInfo, signInfoEd25519 } from '../fixtures/csr/make.ts';
import { refusalOf } from '../fixtures/csr/refusal.ts';
import { decode, encode, encodeContents, pathsOf, replaceAt, type Tree } from '../fixtures/csr/tree.ts';

/** Wide: what it refuses beyond the reader is no key at all. */
const policy: KeyPolicy = {
  ec: { curves: ['P-256', 'P-384', 'P-521'] },
  rsa: { minimumBits: 1024, maximumBits: 8192 },
  ed25519: true,
};

/** Printed where a test fails; `MINTMARK_TEST_SEED=n` makes the same mutations again, of keys that are new each time. */
const seed = Number(process.env['MINTMARK_TEST_SEED'] ?? randomInt(2 ** 31));

function accept(der: Uint8Array): void {
  const csr = parseCertificationRequest(der);
  checkPublicKey(csr.publicKey, policy);
  verifyProofOfPossession(csr);
}

/** Whether all of it is accepted; anything thrown that is no refusal fails the test, INTERNAL included. */
function isAccepted(der: Uint8Array): boolean {
  try {
    accept(der);
    return true;
  } catch (error) {
    if (error instanceof MintmarkError && error.disposition.startsWith('reject')) return false;
    throw new Error(`${Buffer.from(der).toString('hex')} was neither accepted nor refused`, { cause: error });
  }
}

/** The requests that we accept, each once, and openssl does not. */
async function acceptedAgainstOpenssl(requests: Iterable<Uint8Array>): Promise<string[]> {
  const distinct = [...new Set([...requests].map((der) => Buffer.from(der).toString('hex')))];
  const verdicts = await opensslAccepts(distinct.map((hex) => Buffer.from(hex, 'hex')));
  return distinct.filter((_, index) => verdicts[index] !== true);
}

let valid: MadeCsr[];
beforeAll(() => {
  valid = makeValidCsrs();
}, 60_000);

describe('valid CSRs and their mutations', () => {
  it('every valid one is accepted, as PEM and as DER, here and by openssl', async () => {
    expect(valid.length).toBeGreaterThanOrEqual(20);
    for (const { name, der } of valid) {
      expect(isAccepted(decodeCsr(pem(der))), name).toBe(true);
      expect(isAccepted(decodeCsr(der.toString('base64'))), name).toBe(true);
    }
    expect(await acceptedAgainstOpenssl(valid.map(({ der }) => der))).toEqual([]);
    // Openssl does refuse: the last bit of the last signature changed.
    const spoiled = Buffer.from(valid.at(-1)?.der ?? []);
    spoiled.writeUInt8(spoiled.readUInt8(spoiled.length - 1) ^ 1, spoiled.length - 1);
    expect(await opensslAccepts([spoiled])).toEqual([false]);
  });

  it('every truncation of every one is CSR_TRUNCATED', () => {
    for (const { name, der } of valid) {
      for (let length = 0; length < der.length; length++) {
        const { code } = refusalOf(() => parseCertificationRequest(der.subarray(0, length)));
        if (code !== 'CSR_TRUNCATED') expect.fail(`${name}, first ${length} bytes: ${code}`);
      }
    }
  });

  it('PEM that ends early is refused at any character', () => {
    const text = pem(valid[0]?.der ?? Buffer.alloc(0)).trimEnd();
    for (let length = 0; length < text.length; length++) {
      expect(['CSR_NOT_DECODABLE', 'CSR_TRUNCATED']).toContain(refusalOf(() => decodeCsr(text.slice(0, length))).code);
    }
  });

  it('10,000 mutations: refused, or accepted by openssl too', async () => {
    const mutation = fc.record({
      kind: fc.constantFrom('set', 'flip', 'insert', 'remove', 'copy', 'swap'),
      at: fc.nat(),
      from: fc.nat(),
      count: fc.integer({ min: 1, max: 8 }),
      octet: fc.constantFrom(
        0,
        1,
        0x30,
        0x31,
        0x7f,
        0x80,
        0x81,
        0x82,
        0xff,
        ...Array.from({ length: 24 }, (_, i) => i * 11),
      ),
    });
    const accepted: Uint8Array[] = valid.map(({ der }) => der);
    fc.assert(
      fc.property(fc.nat(), fc.array(mutation, { minLength: 1, maxLength: 3 }), (which, mutations) => {
        let der = Buffer.from(valid[which % valid.length]?.der ?? []);
        for (const step of mutations) der = mutate(der, step);
        if (isAccepted(der)) accepted.push(der);
      }),
      { numRuns: 10_000, seed },
    );
    expect(await acceptedAgainstOpenssl(accepted), `seed ${seed}`).toEqual([]);
  }, 60_000);

  it('mutations that are signed again: refused, or accepted by openssl too', async () => {
    const byName = (name: string): MadeCsr => {
      const found = valid.find((made) => made.name === name);
      if (found === undefined) throw new Error(`no CSR named ${name}`);
      return found;
    };
    const sources = ['names', 'attributes', 'multi-valued RDN', 'Ed25519, empty subject', 'UTF-8 names'].map((name) => {
      const made = byName(name);
      const info = parseCertificationRequest(made.der).certificationRequestInfo;
      const resign = name.startsWith('Ed25519') ? signInfoEd25519 : signInfo;
      return { tree: decode(Buffer.from(info)), resign: (changed: Uint8Array) => resign(changed, made.privateKey) };
    });
    const change = fc.record({
      kind: fc.constantFrom('octet', 'tag', 'remove', 'double', 'swap', 'empty', 'ber'),
      place: fc.nat(),
      at: fc.nat(),
      octet: fc.nat({ max: 255 }),
      tag: fc.constantFrom(
        0x01,
        0x02,
        0x03,
        0x04,
        0x05,
        0x06,
        0x0c,
        0x12,
        0x13,
        0x14,
        0x16,
        0x1e,
        0x24,
        0x2c,
        0x30,
        0x31,
        0x80,
        0xa0,
        0xa1,
      ),
    });
    const accepted: Uint8Array[] = [];
    let refused = 0;
    fc.assert(
      fc.property(fc.nat(), fc.array(change, { minLength: 1, maxLength: 2 }), (which, changes) => {
        const source = sources[which % sources.length];
        if (source === undefined) throw new Error('no source');
        let { tree } = source;
        for (const step of changes) tree = changeTree(tree, step);
        const der = source.resign(encode(tree));
        if (isAccepted(der)) accepted.push(der);
        else refused++;
      }),
      { numRuns: 3000, seed },
    );
    // Both kinds are there, or the mutations test nothing.
    expect(accepted.length).toBeGreaterThan(100);
    expect(refused).toBeGreaterThan(1000);
    expect(await acceptedAgainstOpenssl(accepted), `seed ${seed}`).toEqual([]);
  }, 60_000);

  it('random bytes and text: nothing but refusals', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.string({ unit: 'binary', maxLength: 400 }), (bytes, text) => {
        expect(isAccepted(bytes)).toBe(false);
        expect(isAccepted(Buffer.concat([Buffer.of(0x30, 0x82, bytes.length >> 8, bytes.length & 255), bytes]))).toBe(
          false,
        );
        for (const read of [() => readGeneralNames(bytes), () => readBasicConstraints(bytes), () => decodeCsr(text)]) {
          try {
            read();
          } catch (error) {
            expect(error).toBeInstanceOf(MintmarkError);
          }
        }
      }),
      { numRuns: 1000, seed },
    );
  });
});

interface Mutation {
  readonly kind: string;
  readonly at: number;
  readonly from: number;
  readonly count: number;
  readonly octet: number;
}

function mutate(der: Buffer, { kind, at, from, count, octet }: Mutation): Buffer<ArrayBuffer> {
  const index = at % (der.length || 1);
  const other = from % (der.length || 1);
  const head = der.subarray(0, index);
  const changed = Buffer.from(der);
  switch (kind) {
    case 'set':
      changed[index] = octet;
      return changed;
    case 'flip':
      changed[index] = (changed[index] ?? 0) ^ (1 << (octet % 8));
      return changed;
    case 'insert':
      return Buffer.concat([head, Buffer.alloc(count, octet), der.subarray(index)]);
    case 'remove':
      return Buffer.concat([head, der.subarray(index + count)]);
    case 'copy':
      der.copy(changed, index, other, other + count);
      return changed;
    default:
      changed[index] = der[other] ?? 0;
      changed[other] = der[index] ?? 0;
      return changed;
  }
}

interface TreeChange {
  readonly kind: string;
  readonly place: number;
  readonly at: number;
  readonly octet: number;
  readonly tag: number;
}

/** One element changed, lengths around it right again, so that what is inside is what is tried. */
function changeTree(tree: Tree, { kind, place, at, octet, tag }: TreeChange): Tree {
  const places = pathsOf(tree).slice(1);
  const path = places[place % (places.length || 1)];
  if (path === undefined) return tree;
  return replaceAt(tree, path, (found) => {
    switch (kind) {
      case 'tag':
        return 'children' in found ? [{ tag, children: found.children }] : [{ tag, contents: found.contents }];
      case 'remove':
        return [];
      case 'double':
        return [found, found];
      case 'empty':
        return [{ tag: found.tag, contents: Buffer.alloc(0) }];
      case 'swap':
        return 'children' in found
          ? [{ tag: found.tag, children: found.children.toReversed() }]
          : [{ tag: found.tag, contents: Buffer.from(found.contents).reverse() }];
      case 'ber': {
        const contents = encodeContents(found);
        const { length } = contents;
        return [{ tag: found.tag, contents, lengthOctets: Buffer.of(0x83, 0, length >> 8, length & 255) }];
      }
      default: {
        if ('children' in found) return [found];
        const contents = Buffer.from(found.contents);
        if (contents.length > 0) contents[at % contents.length] = octet;
        return [{ tag: found.tag, contents }];
      }
    }
  });
}
