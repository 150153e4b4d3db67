import type { SeededRandom } from '../../../local/embedded/seeded-random.ts';
import { bitString, sequence } from '../../../shared/asn1/der-writer.ts';
import { decode, encode, replaceAt, type Tree } from '../../fixtures/csr/tree.ts';
import { generate } from './generated.ts';
import { ecdsaSignatureForms, keyForm, signatureBits } from './keys.ts';
import { octetMutations, pickTreeMutation } from './mutations.ts';
import { type Original, type SignatureScheme, type Signer, type Signers, signed } from './originals.ts';

/** A certification request to be judged, and how it came about. */
export interface Mutant {
  readonly kind: MutantKind;
  /** Of what, and changed how. */
  readonly what: string;
  readonly der: Buffer;
}

/** Signed: signed over what is in it with the key that was meant, so that its form decides and not its signature. */
export type MutantKind =
  | 'generated, signed'
  | 'key of a kind that is refused, signed'
  | 'signature of a kind that is refused, signed'
  | 'key in another form, signed'
  | 'signature in another form'
  | 'elements changed, signed'
  | 'octets changed, signed'
  | 'octets changed'
  | 'by hand';

type MadeKind = Exclude<MutantKind, 'by hand'>;

const kinds: readonly (readonly [share: number, kind: MadeKind])[] = [
  [0.08, 'generated, signed'],
  [0.04, 'key of a kind that is refused, signed'],
  [0.05, 'signature of a kind that is refused, signed'],
  [0.08, 'key in another form, signed'],
  [0.06, 'signature in another form'],
  [0.44, 'elements changed, signed'],
  [0.1, 'octets changed, signed'],
  [0.15, 'octets changed'],
];

function pickKind(random: SeededRandom): MadeKind {
  let left = random.fraction();
  for (const [share, kind] of kinds) {
    left -= share;
    if (left < 0) return kind;
  }
  return 'octets changed';
}

export interface Sources {
  /** Made by other programs. */
  readonly originals: readonly Original[];
  readonly signers: Signers;
}

/** P-256 and Ed25519 sign ten times as fast as the others. */
function isQuick({ privateKey }: Signer): boolean {
  return privateKey.asymmetricKeyType === 'ed25519' || privateKey.asymmetricKeyDetails?.namedCurve === 'prime256v1';
}

function mostlyQuick<T>(random: SeededRandom, choices: readonly T[], signerOf: (choice: T) => Signer): T {
  return random.pick(random.chance(0.8) ? choices.filter((choice) => isQuick(signerOf(choice))) : choices);
}

const pickSigner = (random: SeededRandom, { allowed }: Signers): Signer =>
  mostlyQuick(random, allowed, (signer) => signer);

function pickOriginal(random: SeededRandom, { originals, signers }: Sources): Original {
  if (random.chance(0.5)) return generate(random, pickSigner(random, signers));
  return mostlyQuick(random, originals, ({ signer }) => signer);
}

const octetsOf = (original: Original): Buffer => encode(original.info);
const pickScheme = (random: SeededRandom, signer: Signer): SignatureScheme => random.pick(signer.schemes);

/** One change of the tree, or two of them. */
function changedElements(random: SeededRandom, original: Original): { names: string[]; info: Tree } {
  let info = original.info;
  const names: string[] = [];
  const wanted = random.chance(0.2) ? 2 : 1;
  while (names.length < wanted) {
    const [name, mutation] = pickTreeMutation(random);
    const changed = mutation(random, info);
    if (changed === undefined) continue;
    names.push(name);
    info = changed;
  }
  return { names, info };
}

function withKeyForm(random: SeededRandom, sources: Sources): Omit<Mutant, 'kind'> {
  const signer = pickSigner(random, sources.signers);
  const original = generate(random, signer);
  const { what, subjectPublicKeyInfo, signature } = keyForm(random, signer);
  const info = encode(replaceAt(original.info, [2], () => [decode(Buffer.from(subjectPublicKeyInfo))]));
  const scheme = pickScheme(random, signer);
  const der = signed(info, signature === undefined ? scheme : { ...scheme, sign: () => signature });
  return { what: `${signer.name}: ${what}`, der: Buffer.from(der) };
}

function withSignatureForm(random: SeededRandom, sources: Sources): Omit<Mutant, 'kind'> {
  const original = pickOriginal(random, sources);
  const { signer } = original;
  const info = octetsOf(original);
  const scheme = pickScheme(random, signer);
  const signature = Buffer.from(scheme.sign(info));
  const forms = signer.privateKey.asymmetricKeyType === 'ec' ? ecdsaSignatureForms(signature) : [];
  const form = forms.length > 0 && random.chance(0.5) ? random.pick(forms) : undefined;
  if (form !== undefined) {
    const der = sequence(info, scheme.algorithmIdentifier, bitString(form));
    return { what: `${original.name}: ECDSA-Sig-Value`, der: Buffer.from(der) };
  }
  if (random.chance(0.3)) {
    const other = pickScheme(random, random.pick(sources.signers.allowed));
    const der = sequence(info, other.algorithmIdentifier, bitString(signature));
    return { what: `${original.name}: another signatureAlgorithm`, der: Buffer.from(der) };
  }
  const der = sequence(info, scheme.algorithmIdentifier, signatureBits(random, signature));
  return { what: `${original.name}: BIT STRING`, der: Buffer.from(der) };
}

function make(random: SeededRandom, kind: MadeKind, sources: Sources): Omit<Mutant, 'kind'> {
  switch (kind) {
    case 'generated, signed': {
      const original = generate(random, pickSigner(random, sources.signers));
      const der = signed(octetsOf(original), pickScheme(random, original.signer));
      return { what: original.name, der: Buffer.from(der) };
    }
    case 'key of a kind that is refused, signed': {
      const original = generate(random, random.pick(sources.signers.refused));
      const der = signed(octetsOf(original), pickScheme(random, original.signer));
      return { what: original.name, der: Buffer.from(der) };
    }
    case 'signature of a kind that is refused, signed': {
      const original = generate(random, random.pick(sources.signers.allowed));
      const der = signed(octetsOf(original), random.pick(original.signer.refusedSchemes));
      return { what: original.name, der: Buffer.from(der) };
    }
    case 'key in another form, signed':
      return withKeyForm(random, sources);
    case 'signature in another form':
      return withSignatureForm(random, sources);
    case 'elements changed, signed': {
      const original = pickOriginal(random, sources);
      const { names, info } = changedElements(random, original);
      const der = signed(encode(info), pickScheme(random, original.signer));
      return { what: `${original.name}: ${names.join(', ')}`, der: Buffer.from(der) };
    }
    case 'octets changed, signed': {
      const original = pickOriginal(random, sources);
      const [name, mutation] = random.pick(Object.entries(octetMutations));
      const der = signed(mutation(random, octetsOf(original)), pickScheme(random, original.signer));
      return { what: `${original.name}: ${name}`, der: Buffer.from(der) };
    }
    case 'octets changed': {
      const original = pickOriginal(random, sources);
      const [name, mutation] = random.pick(Object.entries(octetMutations));
      const whole = Buffer.from(signed(octetsOf(original), pickScheme(random, original.signer)));
      return { what: `${original.name}: ${name}`, der: Buffer.from(mutation(random, whole)) };
    }
  }
}

/** So many, no two the same. */
export function makeMutants(random: SeededRandom, sources: Sources, count: number): Mutant[] {
  const mutants = new Map<string, Mutant>();
  while (mutants.size < count) {
    const kind = pickKind(random);
    const mutant = { kind, ...make(random, kind, sources) };
    mutants.set(mutant.der.toString('latin1'), mutant);
  }
  return [...mutants.values()];
}
