import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { operationNames } from '../../local/stub/index.ts';

const readme = readFileSync(new URL('../../local/stub/README.md', import.meta.url), 'utf8');

/** The table of operations: what each is called in it, how faithful it is, how that was checked. */
const rows = [...readme.matchAll(/^\| (KMS|CloudHSM|CloudTrail) (\w+) \| (.+) \| (.+) \|$/gm)].map(
  ([, service = '', name = '', faithful = '', checked = '']) => ({ service, name, faithful, checked }),
);
const prefixes: Readonly<Record<string, string>> = {
  KMS: 'TrentService',
  CloudHSM: 'BaldrApiService',
  CloudTrail: 'CloudTrail_20131101',
};

it('says of every operation that the stub has, and of no other, how far it is faithful', () => {
  const documented = rows.map(({ service, name }) => `${prefixes[service]}.${name}`);
  expect(documented.toSorted()).toEqual(operationNames().toSorted());
});

it.each(rows)('says of $service $name how it is checked, and is right', ({ service, name, checked }) => {
  const command = name.replaceAll(/(?<=[a-z])([A-Z])/g, '-$1').toLowerCase();
  const method = command.replaceAll('-', '_');
  const tests = {
    sdk: ['stub-kms', 'stub-signing', 'stub-cloudhsm', 'stub-cloudtrail']
      .map((file) => source(`./${file}.test.ts`))
      .join('\n'),
    boto3: source('../integration/stub_boto3.py'),
    cli: source('../integration/stub-aws-cli.test.ts'),
  };
  expect(checked.split(';')[0]?.split(', ')).toEqual(
    Object.entries({
      sdk: tests.sdk.includes(`${name}Command(`) || tests.sdk.includes(`paginate${name}(`),
      boto3: new RegExp(`\\b${service === 'KMS' ? '(?:kms|careless)' : '\\w+'}\\.${method}\\(|"${method}"`).test(
        tests.boto3,
      ),
      cli: tests.cli.includes(`'${command}'`),
    })
      .filter(([, is]) => is)
      .map(([how]) => how),
  );
});

function source(path: string): string {
  return readFileSync(new URL(path, import.meta.url), 'utf8');
}
