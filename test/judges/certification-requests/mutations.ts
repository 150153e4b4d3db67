import type { SeededRandom } from '../../../local/embedded/seeded-random.ts';
import { decodeAll, encode, encodeContents, pathsOf, replaceAt, type Tree } from '../../fixtures/csr/tree.ts';

/**
 * Changes to the tree of a CertificationRequestInfo, the lengths around them right again, so that what is changed is
 * what decides and not what contains it. Each gives undefined where the tree has no place for it.
 */
export type TreeMutation = (random: SeededRandom, tree: Tree) => Tree | undefined;

type Change = (random: SeededRandom, found: Tree) => readonly Tree[] | undefined;

const leaf = (tag: number, contents: Uint8Array, lengthOctets?: Buffer): Tree => ({
  tag,
  contents: Buffer.from(contents),
  ...(lengthOctets === undefined ? {} : { lengthOctets }),
});

const nodeAt = (tree: Tree, path: readonly number[]): Tree | undefined =>
  path.reduce<Tree | undefined>(
    (node, index) => (node !== undefined && 'children' in node ? node.children[index] : undefined),
    tree,
  );

/** Where a CertificationRequestInfo has its subject, and where its attributes. */
const subjectPath = 1;
const attributesPath = 3;

/** One of the places that `fits` finds, the root and the SubjectPublicKeyInfo aside, which has mutations of its own. */
function at(fits: (node: Tree, path: readonly number[]) => boolean, change: Change): TreeMutation {
  return (random, tree) => {
    const paths = pathsOf(tree).filter((path) => {
      const node = nodeAt(tree, path);
      return path.length > 0 && path[0] !== 2 && node !== undefined && fits(node, path);
    });
    if (paths.length === 0) return undefined;
    const path = random.pick(paths);
    const changed = change(random, nodeAt(tree, path) as Tree);
    return changed === undefined ? undefined : replaceAt(tree, path, () => changed);
  };
}

const anywhere = (): boolean => true;
const isLeaf = (node: Tree): node is Extract<Tree, { contents: Buffer }> => 'contents' in node;
const hasTag =
  (...wanted: readonly number[]) =>
  (node: Tree): boolean =>
    wanted.includes(node.tag);
const hasChildren = (node: Tree): node is Extract<Tree, { children: readonly Tree[] }> => 'children' in node;

/** In the subject, under an attribute: its value. */
const isNameValue = (node: Tree, path: readonly number[]): boolean =>
  path[0] === subjectPath && path.length === 4 && path[3] === 1 && isLeaf(node);

/** An Attribute, whole. */
const isAttribute = (_: Tree, path: readonly number[]): boolean => path[0] === attributesPath && path.length === 2;

/** OBJECT IDENTIFIER, perhaps BOOLEAN, OCTET STRING: as Extension is the only SEQUENCE to be. */
const isExtension = (node: Tree, path: readonly number[]): boolean =>
  path[0] === attributesPath &&
  node.tag === 0x30 &&
  hasChildren(node) &&
  node.children[0]?.tag === 0x06 &&
  node.children.at(-1)?.tag === 0x04;

const someTags = [
  0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0a, 0x0c, 0x10, 0x12, 0x13, 0x14, 0x16, 0x17, 0x1a, 0x1c, 0x1e, 0x24, 0x2c,
  0x30, 0x31, 0x40, 0x80, 0x82, 0x86, 0x87, 0xa0, 0xa1, 0xa4, 0xc0,
];

const someElements = [
  leaf(0x05, Buffer.alloc(0)),
  leaf(0x02, Buffer.of(1)),
  leaf(0x01, Buffer.of(0xff)),
  leaf(0x01, Buffer.of(0)),
  leaf(0x0c, Buffer.from('x')),
  leaf(0x30, Buffer.alloc(0)),
  leaf(0x31, Buffer.alloc(0)),
  leaf(0xa0, Buffer.alloc(0)),
  leaf(0x00, Buffer.alloc(0)),
  leaf(0x1f, Buffer.of(0x81, 1, 0), Buffer.alloc(0)),
  leaf(0xbf, Buffer.of(0x20, 0), Buffer.alloc(0)),
];

/** The same text in the octets of another string type. */
const stringTypes: readonly (readonly [tag: number, encode: (text: string) => Buffer])[] = [
  [0x0c, (text) => Buffer.from(text, 'utf8')],
  [0x12, (text) => Buffer.from(text.replace(/[^0-9 ]/g, '0'))],
  [0x13, (text) => Buffer.from(text.replace(/[^A-Za-z0-9 '()+,\-./:=?]/g, '-'))],
  [0x13, (text) => Buffer.from(`*.${text}_&@`, 'latin1')],
  [0x14, (text) => Buffer.from(text, 'latin1')],
  [0x16, (text) => Buffer.from(text.replace(/[^\x20-\x7e]/g, '-'))],
  [0x16, () => Buffer.from('Ger\xe4t', 'latin1')],
  [0x1a, (text) => Buffer.from(text.replace(/[^\x20-\x7e]/g, '-'))],
  [0x1b, (text) => Buffer.from(text, 'latin1')],
  [0x1c, (text) => Buffer.from([...Buffer.from(text, 'latin1')].flatMap((octet) => [0, 0, 0, octet]))],
  [0x1e, (text) => Buffer.from(text, 'utf16le').swap16()],
];

const someTexts = [
  Buffer.alloc(0),
  Buffer.from('device-1\0'),
  Buffer.from('a\nb'),
  Buffer.from('\x7f'),
  Buffer.from('\u0085', 'utf8'),
  Buffer.of(0xff),
  Buffer.of(0xc0, 0x80),
  Buffer.of(0xed, 0xa0, 0x80),
  Buffer.from('x'.repeat(200)),
];

/** A SEQUENCE's or a string's octets under an indefinite length (X.690 section 8.1.3.6). */
const indefinite = (node: Tree): Tree =>
  leaf(node.tag, Buffer.concat([encodeContents(node), Buffer.alloc(2)]), Buffer.of(0x80));

function longLength(random: SeededRandom, node: Tree): Tree {
  const contents = encodeContents(node);
  const { length } = contents;
  const forms = [
    ...(length < 0x80 ? [Buffer.of(0x81, length)] : []),
    ...(length < 0x100 ? [Buffer.of(0x82, 0, length)] : []),
    Buffer.of(0x83, 0, length >> 8, length & 255),
    Buffer.of(0x84, 0, 0, length >> 8, length & 255),
  ];
  return leaf(node.tag, contents, random.pick(forms));
}

/** X.690 section 8.21.3: a string in segments. */
function inSegments(random: SeededRandom, node: Tree): Tree | undefined {
  if (!isLeaf(node)) return undefined;
  const isBits = node.tag === 0x03;
  const { contents } = node;
  const middle = random.below(contents.length + 1);
  const segments = isBits ? [contents] : [contents.subarray(0, middle), contents.subarray(middle)];
  const tag = node.tag < 0x40 ? node.tag : 0x04;
  return { tag: node.tag | 0x20, children: segments.map((segment) => leaf(tag, segment)) };
}

const onlyLeaf =
  (change: (random: SeededRandom, contents: Buffer) => Buffer): Change =>
  (random, node) =>
    isLeaf(node) ? [leaf(node.tag, change(random, node.contents))] : undefined;

/** Both in the place of one, or each before the other. */
const twice: Change = (_, node) => [node, node];

const elementChanges: Readonly<Record<string, TreeMutation>> = {
  'indefinite length': at(hasChildren, (_, node) => [indefinite(node)]),
  'long length': at(anywhere, (random, node) => [longLength(random, node)]),
  'string in segments': at(
    (node) => isLeaf(node) && [0x03, 0x04, 0x0c, 0x12, 0x13, 0x16, 0x82, 0x86].includes(node.tag),
    (random, node) => {
      const segments = inSegments(random, node);
      return segments === undefined ? undefined : [segments];
    },
  ),
  'padded INTEGER': at(
    hasTag(0x02),
    onlyLeaf((random, contents) => Buffer.concat([Buffer.alloc(1 + random.below(3)), contents])),
  ),
  'another INTEGER': at(
    hasTag(0x02),
    onlyLeaf((random) =>
      random.pick([Buffer.alloc(0), Buffer.of(1), Buffer.of(2), Buffer.of(0xff), Buffer.alloc(9, 1)]),
    ),
  ),
  'another BOOLEAN': at(
    hasTag(0x01),
    onlyLeaf((random) =>
      random.pick([Buffer.of(1), Buffer.of(0), Buffer.of(0x7f), Buffer.alloc(0), Buffer.alloc(2, 255)]),
    ),
  ),
  'encoded DEFAULT': at(isExtension, (random, node) => {
    if (!hasChildren(node)) return undefined;
    const [extnID, ...rest] = node.children.filter(({ tag }) => tag !== 0x01);
    if (extnID === undefined) return undefined;
    return [{ tag: 0x30, children: [extnID, leaf(0x01, Buffer.of(random.chance(0.8) ? 0 : 0x01)), ...rest] }];
  }),
  'another OBJECT IDENTIFIER': at(
    hasTag(0x06),
    onlyLeaf((random, contents) =>
      random.pick([
        Buffer.concat([Buffer.of(0x80), contents]),
        Buffer.concat([contents, Buffer.of(0x80, 1)]),
        Buffer.concat([contents, Buffer.of(0x81)]),
        Buffer.concat([contents, Buffer.alloc(10, 0xff), Buffer.of(1)]),
        Buffer.concat([contents, Buffer.alloc(70, 1)]),
        Buffer.alloc(0),
        Buffer.from('2a0304', 'hex'),
      ]),
    ),
  ),
  'unused bits': at(
    hasTag(0x03),
    onlyLeaf((random, contents) => Buffer.concat([Buffer.of(1 + random.below(9)), contents.subarray(1)])),
  ),
  'order of a SET': at(
    (node) => hasTag(0x31, 0xa0)(node) && hasChildren(node) && node.children.length > 1,
    (_, node) => (hasChildren(node) ? [{ tag: node.tag, children: node.children.toReversed() }] : undefined),
  ),
  tag: at(anywhere, (random, node) => [{ ...node, tag: random.pick(someTags) }]),
  'string type': at(isNameValue, (random, node) => {
    const [tag, encodeText] = random.pick(stringTypes);
    return isLeaf(node) ? [leaf(tag, encodeText(node.contents.toString('utf8')))] : undefined;
  }),
  'string value': at(
    isNameValue,
    onlyLeaf((random) => random.pick(someTexts)),
  ),
  removed: at(anywhere, () => []),
  twice: at(anywhere, twice),
  'attribute twice': at(isAttribute, twice),
  'extension twice': at(isExtension, twice),
  emptied: at(anywhere, (_, node) => [leaf(node.tag, Buffer.alloc(0))]),
  'element added': at(anywhere, (random, node) => {
    const added = random.pick(someElements);
    return random.chance(0.5) ? [added, node] : [node, added];
  }),
  'element inside': at(hasChildren, (random, node) =>
    hasChildren(node) ? [{ tag: node.tag, children: [...node.children, random.pick(someElements)] }] : undefined,
  ),
  'octet changed': at(
    isLeaf,
    onlyLeaf((random, contents) => {
      const changed = Buffer.from(contents);
      if (changed.length > 0) changed[random.below(changed.length)] = random.below(256);
      return changed;
    }),
  ),
  'octets added': at(
    isLeaf,
    onlyLeaf((random, contents) => {
      const index = random.below(contents.length + 1);
      const added = Buffer.alloc(1 + random.below(3), random.below(256));
      return Buffer.concat([contents.subarray(0, index), added, contents.subarray(index)]);
    }),
  ),
};

/** What an OCTET STRING of the attributes holds, changed: the inside of an extension. */
const insideExtension: TreeMutation = (random, tree) =>
  at(isExtension, (_, node) => {
    if (!hasChildren(node)) return undefined;
    const value = node.children.at(-1);
    if (value === undefined || !isLeaf(value)) return undefined;
    const [inner, ...more] = decodeAll(value.contents) ?? [];
    if (inner === undefined || more.length > 0) return undefined;
    // A tree whose one child it is, so that the whole of it may be changed too.
    const changed = random.pick(Object.values(elementChanges))(random, { tag: 0x30, children: [inner] });
    if (changed === undefined) return undefined;
    return [{ tag: node.tag, children: [...node.children.slice(0, -1), leaf(value.tag, encodeContents(changed))] }];
  })(random, tree);

/** What follows the subjectAltName's names' own rules and no tag: values of a kind that are none. */
const generalNameValues: Readonly<Record<number, readonly Buffer[]>> = {
  0x81: [Buffer.from('b\xe4@x', 'latin1'), Buffer.from('a\0@x')],
  0x82: [Buffer.from('b\xfccher', 'latin1'), Buffer.from('a\0.b'), Buffer.from('a\nb'), Buffer.from('x'.repeat(300))],
  0x86: [Buffer.from('urn:\0'), Buffer.from('urn:\xe4', 'latin1'), Buffer.from('a b')],
  0x87: [Buffer.alloc(5), Buffer.alloc(8), Buffer.alloc(0), Buffer.alloc(32), Buffer.alloc(4, 9)],
  0x88: [Buffer.of(0x80, 1), Buffer.alloc(0), Buffer.of(0x2a, 0x83)],
  0xa3: [Buffer.from('300002', 'hex'), Buffer.alloc(0)],
  0xa5: [Buffer.from('a1030c0178', 'hex')],
  0x89: [Buffer.from('x')],
  0x83: [Buffer.from('x')],
};

const isSubjectAltName = (node: Tree, path: readonly number[]): boolean => {
  if (!isExtension(node, path) || !hasChildren(node)) return false;
  const [extnID] = node.children;
  return extnID !== undefined && isLeaf(extnID) && extnID.contents.equals(Buffer.from('551d11', 'hex'));
};

const generalNames: TreeMutation = at(isSubjectAltName, (random, node) => {
  if (!hasChildren(node)) return undefined;
  const [tag, values] = random.pick(Object.entries(generalNameValues));
  const names = encode({ tag: 0x30, children: [leaf(Number(tag), random.pick(values))] });
  return [{ tag: node.tag, children: [...node.children.slice(0, -1), leaf(0x04, names)] }];
});

const treeMutations: Readonly<Record<string, TreeMutation>> = {
  ...elementChanges,
  'value of a general name': generalNames,
};

/** With its name; what is inside extensions more often than its share. */
export function pickTreeMutation(random: SeededRandom): readonly [name: string, mutation: TreeMutation] {
  if (random.chance(0.1)) return ['inside an extension', insideExtension];
  return random.pick(Object.entries(treeMutations));
}

/** Changes to octets, wherever they fall: what is a length becomes a wrong one. */
export const octetMutations: Readonly<Record<string, (random: SeededRandom, der: Buffer) => Buffer>> = {
  'bit flipped': (random, der) => {
    const changed = Buffer.from(der);
    const index = random.below(der.length);
    changed[index] = (changed[index] ?? 0) ^ (1 << random.below(8));
    return changed;
  },
  'octet set': (random, der) => {
    const changed = Buffer.from(der);
    changed[random.below(der.length)] = random.pick([0, 1, 0x30, 0x31, 0x7f, 0x80, 0x81, 0x82, 0xa0, 0xff]);
    return changed;
  },
  'octets removed': (random, der) => {
    const index = random.below(der.length);
    return Buffer.concat([der.subarray(0, index), der.subarray(index + 1 + random.below(4))]);
  },
  'octets inserted': (random, der) => {
    const index = random.below(der.length);
    const inserted = Buffer.alloc(1 + random.below(4), random.below(256));
    return Buffer.concat([der.subarray(0, index), inserted, der.subarray(index)]);
  },
  'octets copied': (random, der) => {
    const changed = Buffer.from(der);
    const from = random.below(der.length);
    der.copy(changed, random.below(der.length), from, from + 1 + random.below(8));
    return changed;
  },
  truncated: (random, der) => der.subarray(0, random.below(der.length)),
  trailing: (random, der) => Buffer.concat([der, Buffer.alloc(1 + random.below(3), random.pick([0, 0x30, 0xff]))]),
};
