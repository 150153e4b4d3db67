import type { CheckedRow, RelintTally } from '../shared/issuance/index.ts';
import { table } from '../shared/terminal/index.ts';
import { csvLine } from './csv.ts';
import { factLines } from './facts.ts';
import { isoTime, jsonText } from './json.ts';
import { beginningWith, type FileKind, jsonLines } from './output-files.ts';

/** A certificate that breaks rules as --json and --out have it; scripts read it, so fields are added, never renamed. */
export const findingJson = ({ record, isProfileDeployed, broken }: CheckedRow) => ({
  deviceId: record.deviceId,
  requestId: record.requestId,
  serialNumber: record.serialNumber ?? null,
  issuerId: record.issuerId ?? null,
  profile: record.profile ?? null,
  profileDeployed: isProfileDeployed,
  issuedAt: isoTime(record.issuedAt) ?? null,
  notAfter: isoTime(record.notAfter) ?? null,
  broken: broken.map(({ name, source }) => ({ rule: name, source })),
});

/** How a file of findings is written: what comes before the first, and each. */
export interface FindingFormat {
  /** What such a file is, and may take the place of. */
  readonly kind: FileKind;
  readonly head: string;
  readonly line: (finding: CheckedRow) => string;
}

const csvColumns = ['deviceId', 'requestId', 'serialNumber', 'issuerId', 'profile', 'issuedAt', 'notAfter'] as const;
const csvHead = `${csvLine([...csvColumns, 'rules'])}\r\n`;
const findings = 'findings that this command wrote';

export const findingFormats = {
  jsonl: {
    kind: jsonLines(findings, ['deviceId', 'requestId', 'broken']),
    head: '',
    line: (finding) => `${jsonText(findingJson(finding))}\n`,
  },
  csv: {
    kind: beginningWith(findings, csvHead),
    head: csvHead,
    line: (finding) => {
      const json = findingJson(finding);
      const rules = json.broken.map(({ rule }) => rule).join(' ');
      return `${csvLine([...csvColumns.map((column) => json[column] ?? undefined), rules])}\r\n`;
    },
  },
} as const satisfies Record<string, FindingFormat>;

/** Counts as --json has them. */
export const tallyJson = ({ rows, checked, broken, withoutProfile, passedOver, byRule }: RelintTally) => ({
  rows,
  checked,
  broken,
  withoutProfile,
  passedOver: {
    notIssued: passedOver['not-issued'],
    expired: passedOver.expired,
    revoked: passedOver.revoked,
    issuerUnknown: passedOver['issuer-unknown'],
  },
  byRule: Object.fromEntries(mostFirst(byRule)),
});

export const findingLines = (findings: readonly CheckedRow[]): string[] =>
  findings.length === 0
    ? []
    : [
        ...table(
          ['DEVICE', 'REQUEST', 'SERIAL NUMBER', 'ISSUER', 'RULES'],
          findings.map(({ record, broken }) => [
            record.deviceId,
            record.requestId,
            record.serialNumber ?? '',
            record.issuerId ?? '',
            broken.map(({ name }) => name).join(', '),
          ]),
        ),
        '',
      ];

export function tallyLines(tally: RelintTally): string[] {
  const { checked, broken, withoutProfile, passedOver, byRule } = tally;
  const rules = mostFirst(byRule).map(([name, count]) => [name, String(count)]);
  return [
    ...(rules.length === 0 ? [] : [...table(['RULE', 'CERTIFICATES'], rules), '']),
    ...factLines([
      ['checked', checked],
      ['broken', broken],
      ['without their profile', counted(withoutProfile, 'it is not deployed any more, and its rules were left out')],
      ['passed over, expired', counted(passedOver.expired)],
      ['passed over, revoked', counted(passedOver.revoked, 'broken ones that are dealt with')],
      ['passed over, issuer unknown', counted(passedOver['issuer-unknown'])],
      ['passed over, not issued', counted(passedOver['not-issued'])],
    ]),
  ];
}

const counted = (count: number, what?: string): string | undefined =>
  count === 0 ? undefined : what === undefined ? String(count) : `${count} (${what})`;

const mostFirst = (byRule: RelintTally['byRule']): [name: string, count: number][] =>
  [...byRule].toSorted(([, one], [, other]) => other - one);
