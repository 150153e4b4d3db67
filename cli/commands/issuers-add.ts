import { type Command, InvalidArgumentError } from 'commander';
import { caCertificateUrl } from '../../shared/issuance/index.ts';
import { IssuerNameRecords, Issuers, isBaseUrl, maximumCrlShards } from '../../shared/ledger/index.ts';
import { isAwsKmsUri } from '../../shared/signer/index.ts';
import { readCertificates } from '../ca-files.ts';
import { defineCommand } from '../command.ts';
import { type DeployedProfilesOptions, declareDeployedProfiles, readDeployedProfiles } from '../deployed-profiles.ts';
import { UsageError } from '../errors.ts';
import { describeIssuer, issuerJson, seeIssuer } from '../issuer-view.ts';
import { readIssuers } from '../issuers.ts';
import { checkKmsKey, uncheckedKeyOption } from '../kms-issuer-key.ts';
import { newIssuer, notesOn } from '../new-issuer.ts';
import { countTo, notEmpty } from '../values.ts';

interface Options extends DeployedProfilesOptions {
  readonly id: string;
  readonly signerUri: string;
  readonly baseUrl: string;
  readonly crlShards: number;
  readonly chain?: string;
  readonly clusterId?: string;
  readonly signatureAlgorithm?: string;
  readonly uncheckedKey?: true;
}

export const command = defineCommand<Options>({
  details: [
    'Nothing is issued by it until `mintmark issuers activate` makes a name lead to it, unless a profile names its id. Looked at',
    'before it is written: that it is a CA certificate, valid now, and verifies up to a self-signed root; that its key can sign',
    'so; that the signer URI names a key and no PIN, and of a key in KMS that it is the one in the certificate; that neither id nor',
    'CA is there already. Its id, base URL, certificate and number of CRL shards never change. The PIN of a key in CloudHSM is sealed afterwards: docs/operating.md, "Issuing CAs and',
    'their rotation".',
  ],
  declare: (command) => declareDeployedProfiles(declareOwn(command)),
  run: async (session, options, [file = '']) => {
    const profiles = readDeployedProfiles(session, options);
    const [certificate = new Uint8Array(), ...rest] = readCertificates(file);
    if (options.chain !== undefined && rest.length > 0) {
      throw new UsageError(`${file} holds a chain, and --chain names another.`, 'Give one of them.');
    }
    const before = await readIssuers(session);
    if (before.some(({ issuerId }) => issuerId === options.id)) throw isThere(options.id);
    const issuer = newIssuer(
      {
        issuerId: options.id,
        certificate,
        chain: options.chain === undefined ? rest : readCertificates(options.chain),
        signerUri: options.signerUri,
        signatureAlgorithm: options.signatureAlgorithm,
        clusterId: options.clusterId,
        baseUrl: options.baseUrl,
        crlShardCount: options.crlShards,
      },
      before,
      session.now(),
    );
    const unchecked = await checkKmsKey(session, issuer, options.uncheckedKey === true);
    const dynamoDB = await session.clients.dynamoDB();
    const { issuers: table } = session.target().tables;
    const isAdded = await new Issuers(dynamoDB, table).addNew(issuer);
    if (!isAdded) throw isThere(options.id);
    const { names } = await new IssuerNameRecords(dynamoDB, table).list();
    const seen = seeIssuer(issuer, names, profiles, undefined);
    const next = [
      `Put its certificate, in DER, where its certificates say that it is: ${caCertificateUrl(issuer)}`,
      ...(isAwsKmsUri(issuer.signerUri)
        ? ['See that issuerKeyArns has the ARN of its key, or the functions may not sign with it.']
        : ["Seal its crypto user's PIN in each Region that issues."]),
      ...(seen.profiles !== undefined && seen.profiles.length > 0
        ? [`It issues from now on, by ${seen.profiles.join(', ')}, whose issuer is named so.`]
        : [`Let it issue: mintmark issuers activate ${issuer.issuerId} --name <as the profiles name their issuer>`]),
    ];
    const notes = [...notesOn(issuer, before), ...unchecked];
    return {
      exitCode: 0,
      json: { change: 'added', issuer: issuerJson(seen), notes, next },
      lines: [`${issuer.issuerId} is added.`, ...describeIssuer(seen), '', ...notes, ...next],
    };
  },
});

const declareOwn = (command: Command): Command =>
  command
    .argument('<file>', "the CA's certificate, in PEM or DER; in PEM its chain may follow it")
    .requiredOption('--id <id>', 'what it is called in the tables and in URLs; never another one', issuerId)
    .requiredOption(
      '--signer-uri <uri>',
      'its private key: pkcs11:...;type=private without a PIN, or awskms:key-id=...',
    )
    .requiredOption('--base-url <url>', 'http://..., under which its certificate and CRLs are served', baseUrl)
    .requiredOption('--crl-shards <count>', 'how many CRLs its certificates are spread over', countTo(maximumCrlShards))
    .option('--chain <file>', 'from the issuer of the CA certificate up to the root, in PEM', notEmpty)
    .option('--cluster-id <id>', 'of a pkcs11: key: the CloudHSM cluster that holds it', clusterId)
    .option('--signature-algorithm <name>', 'as in rsa-pss-sha256; without it as is usual for the key', notEmpty)
    .option(...uncheckedKeyOption);

const isThere = (id: string): UsageError =>
  new UsageError(
    `There is an issuer ${id} already.`,
    'Give the new CA an id of its own: certificates and rows name the old one by it.',
  );

/** As the profiles can name it (shared/issuance/profile/schema.ts). */
export function issuerId(text: string): string {
  if (/^[a-z0-9][a-z0-9-]{0,62}$/.test(text)) return text;
  throw new InvalidArgumentError('It is 1 to 63 small letters, digits and hyphens.');
}

function baseUrl(text: string): string {
  if (isBaseUrl(text) && URL.canParse(text) && /^http:\/\/[a-z0-9][a-z0-9.-]*(:\d{1,5})?(\/[^?#/]+)*$/.test(text))
    return text;
  throw new InvalidArgumentError('It is plain http, without a slash at the end, as in http://pki.example.com.');
}

function clusterId(text: string): string {
  if (/^cluster-[2-7a-zA-Z]{11,16}$/.test(text)) return text;
  throw new InvalidArgumentError('It is written as in cluster-abcdefghijk.');
}
