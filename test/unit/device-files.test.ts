import { describe, expect, it } from 'vitest';
import { checkFile } from '../../shared/devices/check-file.ts';
import { readCsvRecord } from '../../shared/devices/csv-record.ts';
import { linesOf } from '../../shared/devices/lines.ts';
import { canonicalRegisteredName } from '../../shared/devices/registered-name.ts';
import { type FileFormat, registrationsIn } from '../../shared/devices/registration-file.ts';
import { SeenDevices } from '../../shared/devices/seen-devices.ts';
import { readRegisteredName } from '../../shared/issuance/registered-name.ts';
import { collect } from '../support/collect.ts';

async function* inChunks(text: string | Uint8Array, size = Number.POSITIVE_INFINITY): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text);
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

const entries = (text: string | Uint8Array, format: FileFormat) => collect(registrationsIn(inChunks(text), format));

const problems = async (text: string | Uint8Array, format: FileFormat) =>
  (await checkFile(inChunks(text), format)).problems;

const key = 'Ab'.repeat(32);

describe('lines', () => {
  it.each([1, 2, 3, 1_000])('are the same however the file comes, %i bytes at a time', async (size) => {
    const lines = await collect(linesOf(inChunks('\ufeffa,é\r\n\nb\r\rc\nlast', size)));
    expect(lines).toEqual([
      { number: 1, text: 'a,é' },
      { number: 2, text: '' },
      { number: 3, text: 'b\r\rc' },
      { number: 4, text: 'last' },
    ]);
  });

  it('that are not UTF-8, or too long, are told and hide no other', async () => {
    const bytes = Buffer.concat([
      Buffer.from('a\n\xff\xfe\n', 'latin1'),
      Buffer.alloc(1_048_577, 'x'),
      Buffer.from('\nb'),
    ]);
    expect(await collect(linesOf(inChunks(bytes, 65_536)))).toEqual([
      { number: 1, text: 'a' },
      { number: 2, problem: expect.stringContaining('UTF-8') },
      { number: 3, problem: expect.stringContaining('1 MiB') },
      { number: 4, text: 'b' },
    ]);
  });
});

describe('a CSV record', () => {
  it.each([
    ['', ['']],
    ['a', ['a']],
    ['a,,b,', ['a', '', 'b', '']],
    ['"a,b",c', ['a,b', 'c']],
    ['"say ""hi""",""', ['say "hi"', '']],
  ])('%j', (line, cells) => {
    const record = readCsvRecord(line);
    expect('cells' in record && record.cells.map(({ text }) => text)).toEqual(cells);
  });

  it('says where its fields begin', () => {
    expect(readCsvRecord('ab,"c""",d')).toEqual({
      cells: [
        { text: 'ab', column: 1 },
        { text: 'c"', column: 4 },
        { text: 'd', column: 10 },
      ],
    });
  });

  it.each([
    ['a,"b', 3],
    ['a,b"c', 4],
    ['"a"b,c', 4],
  ])('that is none, and where: %j', (line, column) =>
    expect(readCsvRecord(line)).toEqual({ column, problem: expect.any(String) }),
  );
});

describe('names', () => {
  it.each([
    ['DNS:pump-7.example.com'],
    ['DNS:*.pumps.example.com'],
    ['DNS:xn--bcher-kva.example'],
    ['IP:192.0.2.7'],
    ['IP:2001:DB8:0::1', 'IP:2001:db8::1'],
    ['IP:::10.0.0.1'],
    ['IP:::a00:1', 'IP:::10.0.0.1'],
    ['URI:spiffe://trust_domain.example/pump'],
    ['URI:spiffe://example.com/pump/7'],
    ['URI:urn:dev:ops:32473-pump-7'],
    ['URI:https://[2001:db8::1]:8443/x'],
    ['email:pump@example.com'],
  ])('%s', (text, canonical = text) => {
    expect(canonicalRegisteredName(text)).toBe(canonical);
    // What is registered is what is granted.
    expect(readRegisteredName(canonical)?.name.value).toBe(canonical.slice(canonical.indexOf(':') + 1));
  });

  it.each([
    'pump-7.example.com',
    'dns:pump-7.example.com',
    'DNS:',
    'DNS:pump_7.example.com',
    'DNS:pump-7.example.com.',
    'DNS:192.0.2.7',
    'DNS:pump.0x7f',
    'DNS:pump.0X',
    'DNS:*',
    'DNS:*.com',
    'DNS:a.*.example.com',
    'DNS:xn--zzzzzzzzzz-.example',
    'DNS:bücher.example',
    `DNS:${'a'.repeat(64)}.example`,
    'IP:192.0.2',
    'IP:192.0.2.7/24',
    'IP:0xc0.0.2.7',
    'IP:fe80::1%eth0',
    'URI:/pump/7',
    'URI:spiffe://exa mple/x',
    'URI:spiffe://example.com:8443/x',
    'URI:spiffe://Example.com/x',
    'URI:spiffe://example.com/x/',
    'URI:SPIFFE://example.com/x',
    'URI:https://pump_7/',
    'URI:https:///x',
    'URI:https://[fe80::1%25eth0]/',
    'URI:https://[192.0.2.7]/',
    'URI:https://2001:db8::1/',
    'URI:https://a.example:99999/',
    'URI:https://a.example/%2',
    'email:pump',
    'email:pump@',
    'email:"a b"@example.com',
    'otherName:x',
    '',
  ])('no name: %j', (text) => expect(canonicalRegisteredName(text)).toBeUndefined());
});

describe('a CSV file', () => {
  it('says of each device what its line does; an empty cell nothing, - that it is taken away', async () => {
    const csv = [
      'fleet,deviceId,allowedSenders,pinnedKeys,allowedNames,maximumLiveCertificates',
      `doors,door-1,AROA1 AROA2, ${key},DNS:d1.example.com  IP:2001:DB8::1,2`,
      '',
      '"do,ors",door-2,,,,',
      '-,door-3,-,-,-,-',
    ];
    expect(await entries(csv.join('\r\n'), 'csv')).toEqual([
      {
        line: 2,
        registration: {
          deviceId: 'door-1',
          terms: {
            fleet: 'doors',
            allowedSenders: ['AROA1', 'AROA2'],
            pinnedKeys: [key.toLowerCase()],
            allowedNames: ['DNS:d1.example.com', 'IP:2001:db8::1'],
            maximumLiveCertificates: 2,
          },
        },
      },
      { line: 4, registration: { deviceId: 'door-2', terms: { fleet: 'do,ors' } } },
      {
        line: 5,
        registration: {
          deviceId: 'door-3',
          terms: {
            fleet: null,
            allowedSenders: null,
            pinnedKeys: null,
            allowedNames: null,
            maximumLiveCertificates: null,
          },
        },
      },
    ]);
  });

  type Wrong = readonly [csv: string, at: { line: number; column?: number; field?: string }, told: RegExp];
  const wrong: readonly Wrong[] = [
    ['', { line: 1 }, /names no device/],
    ['deviceId\n', { line: 1 }, /names no device/],
    ['fleet\ndoors', { line: 1, column: 1, field: 'deviceId' }, /expected: deviceId, fleet/],
    ['deviceId;fleet\nd;f', { line: 1, column: 1, field: 'deviceId;fleet' }, /separated by commas/],
    ['deviceId,color\nd,red', { line: 1, column: 10, field: 'color' }, /no field "color"; expected: deviceId/],
    ['deviceId,state\nd,active', { line: 1, column: 10, field: 'state' }, /blocked and unblocked by commands/],
    ['deviceId,fleet,fleet\nd,a,b', { line: 1, column: 16, field: 'fleet' }, /twice/],
    ['deviceId,"fleet\nd,a', { line: 1, column: 10 }, /not closed/],
    ['deviceId,fleet\nd', { line: 2, column: 1 }, /1 field; expected: 2/],
    ['deviceId\nd,a', { line: 2, column: 3 }, /2 fields; expected: 1/],
    ['deviceId,fleet\n,doors', { line: 2, column: 1, field: 'deviceId' }, /missing/],
    ['deviceId\n-', { line: 2, column: 1, field: 'deviceId' }, /"-" is no device id/],
    ['deviceId\nmy door', { line: 2, column: 1, field: 'deviceId' }, /no device id; expected: 1 to 64/],
    [`deviceId\n${'d'.repeat(65)}`, { line: 2, column: 1, field: 'deviceId' }, /no device id/],
    ['deviceId,fleet\nd,my doors', { line: 2, column: 3, field: 'fleet' }, /no fleet name/],
    ['deviceId,fleet\nd,*', { line: 2, column: 3, field: 'fleet' }, /no fleet name/],
    ['deviceId,pinnedKeys\nd,abcd', { line: 2, column: 3, field: 'pinnedKeys' }, /64 hex digits/],
    [`deviceId,pinnedKeys\nd,${key} ${key.toLowerCase()}`, { line: 2, column: 3, field: 'pinnedKeys' }, /twice/],
    [
      'deviceId,allowedSenders\nd,arn:aws:iam::000000000000:role/gateway',
      { line: 2, column: 3, field: 'allowedSenders' },
      /not an ARN/,
    ],
    ['deviceId,allowedSenders\nd,AROA1:session', { line: 2, column: 3, field: 'allowedSenders' }, /without a session/],
    ['deviceId,allowedNames\nd,pump', { line: 2, column: 3, field: 'allowedNames' }, /expected: DNS:/],
    [
      `deviceId,allowedNames\nd,URI:urn:x:${'a'.repeat(2_000)} URI:urn:y:${'a'.repeat(2_000)} DNS:${'a.'.repeat(34)}example`,
      { line: 2, column: 3, field: 'allowedNames' },
      /have 4097 bytes in a certificate; expected: at most 4096/,
    ],
    ['deviceId,maximumLiveCertificates\nd,0', { line: 2, column: 3, field: 'maximumLiveCertificates' }, /1 to 1000/],
    ['deviceId,maximumLiveCertificates\nd,1e2', { line: 2, column: 3, field: 'maximumLiveCertificates' }, /"1e2"/],
    ['deviceId\ndoor-1\ndoor-2\ndoor-1', { line: 4, field: 'deviceId' }, /door-1 is on line 2 already/],
  ];

  it.each(wrong)('that is wrong, and where: %j', async (csv, at, told) => {
    const [first, ...others] = await problems(csv, 'csv');
    expect(others).toEqual([]);
    expect(first).toEqual({ ...at, problem: expect.stringMatching(told) });
  });

  it('is told all of its problems at once, those of one line among them', async () => {
    const csv = 'deviceId,fleet,pinnedKeys\nok,,\n a,b c,x\nok2,"\nok3,,\n\xff,,\n';
    expect((await problems(csv, 'csv')).map(({ line, field }) => [line, field])).toEqual([
      [3, 'deviceId'],
      [3, 'fleet'],
      [3, 'pinnedKeys'],
      [4, undefined],
      [6, 'deviceId'],
    ]);
  });

  it('has its problems counted, and the first thousand kept', async () => {
    const checked = await checkFile(inChunks(`deviceId\n${'-\n'.repeat(1_500)}`), 'csv');
    expect(checked).toMatchObject({ devices: 0, problemCount: 1_500 });
    expect(checked.problems).toHaveLength(1_000);
  });
});

describe('a file of JSON lines', () => {
  it('says the same, with null for what is taken away and an empty list for what allows nothing', async () => {
    const lines = [
      { deviceId: 'door-1', fleet: 'doors', allowedSenders: [], maximumLiveCertificates: 1 },
      { deviceId: 'door-2', fleet: null, allowedNames: ['DNS:d2.example.com'] },
    ];
    const text = `${lines.map((line) => JSON.stringify(line)).join('\n\n')}\n`;
    expect(await entries(text, 'jsonl')).toEqual([
      {
        line: 1,
        registration: {
          deviceId: 'door-1',
          terms: { fleet: 'doors', allowedSenders: [], maximumLiveCertificates: 1 },
        },
      },
      {
        line: 3,
        registration: { deviceId: 'door-2', terms: { fleet: null, allowedNames: ['DNS:d2.example.com'] } },
      },
    ]);
  });

  type Wrong = readonly [line: string, at: { column?: number; field?: string }, told: RegExp];
  const wrong: readonly Wrong[] = [
    ['{"deviceId": "d",}', { column: 18 }, /not JSON/],
    ['deviceId,fleet', {}, /not JSON/],
    ['["d"]', { column: 1 }, /no JSON object/],
    ['null', { column: 1 }, /no JSON object/],
    ['{}', { column: 1, field: 'deviceId' }, /missing/],
    ['{"deviceId": null}', { column: 14, field: 'deviceId' }, /missing/],
    ['{"deviceId": 7}', { column: 14, field: 'deviceId' }, /7 is no device id/],
    ['{"deviceId": "d", "fleet": ["a"]}', { column: 28, field: 'fleet' }, /A list is no fleet name/],
    ['{"deviceId": "d", "fleet": {"x": 1}}', { column: 28, field: 'fleet' }, /An object is no fleet name/],
    ['{"deviceId": "d", "fleet": "a\\": {"}', { column: 28, field: 'fleet' }, /no fleet name/],
    ['{"deviceId": "d", "pinnedKeys": "x"}', { column: 33, field: 'pinnedKeys' }, /no list/],
    ['{"deviceId": "d", "pinnedKeys": [null]}', { column: 33, field: 'pinnedKeys' }, /null is no SHA-256/],
    [
      '{"deviceId": "d", "maximumLiveCertificates": 1.5}',
      { column: 46, field: 'maximumLiveCertificates' },
      /1.5 is no limit/,
    ],
    ['{"deviceId": "d", "pinnedKey": []}', { column: 19, field: 'pinnedKey' }, /no field "pinnedKey"/],
    ['{"deviceId": "d", "__proto__": {}}', { column: 19, field: '__proto__' }, /no field/],
    ['{"deviceId": "d", "constructor": 1}', { column: 19, field: 'constructor' }, /no field/],
    ['{"deviceId": "d", "blockReason": "x"}', { column: 19, field: 'blockReason' }, /command of its own/],
    [`{"deviceId": "d", "pinnedKeys": ["${key}"], "pinnedKeys": []}`, { column: 103, field: 'pinnedKeys' }, /twice/],
  ];

  it.each(wrong)('that is wrong, and where: %s', async (line, at, told) => {
    const [first, ...others] = await problems(line, 'jsonl');
    expect(others).toEqual([]);
    expect(first).toEqual({ line: 1, ...at, problem: expect.stringMatching(told) });
  });

  it('shows no more of a value than says which it is', async () => {
    const [first] = await problems(JSON.stringify({ deviceId: 'd', fleet: 'x'.repeat(100_000) }), 'jsonl');
    expect(first?.problem.length).toBeLessThan(300);
  });
});

describe('the devices that a file has had', () => {
  it('are known by their lines, however many', () => {
    const seen = new SeenDevices();
    const count = 20_000;
    for (let line = 1; line <= count; line++) expect(seen.see(`device-${line}`, line)).toBeUndefined();
    for (let line = 1; line <= count; line += 97) expect(seen.see(`device-${line}`, count + 1)).toBe(line);
  });
});
