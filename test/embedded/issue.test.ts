import { X509Certificate } from 'node:crypto';
import { SNSClient, SubscribeCommand } from '@aws-sdk/client-sns';
import { CreateQueueCommand, ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MintmarkError } from '../../shared/errors.ts';
import type { Announcement } from '../../shared/issuance/announce.ts';
import { certificatePem } from '../../shared/issuance/certificate.ts';
import {
  generateEcKey,
  generateEd25519Key,
  generateRsaKey,
  makeCsr,
  subjectPublicKeyInfoOf,
} from '../fixtures/csr/make.ts';
import { TestCloud } from '../support/embedded-cloud.ts';
import { makePemCsr, printExtension, publicKeyOf, verifyChain } from '../support/embedded-openssl.ts';
import { until } from '../support/embedded-until.ts';

let cloud: TestCloud;
beforeAll(async () => {
  cloud = await TestCloud.start();
});
afterAll(() => cloud?.stop());

const pss = ['-sigopt', 'rsa_padding_mode:pss'];

const kinds: readonly { name: string; key: () => string; options?: readonly string[] }[] = [
  { name: 'P-256', key: () => generateEcKey('P-256') },
  { name: 'P-384', key: () => generateEcKey('P-384'), options: ['-sha384'] },
  { name: 'P-521', key: () => generateEcKey('P-521'), options: ['-sha512'] },
  { name: 'RSA-2048', key: () => generateRsaKey(2048) },
  { name: 'RSA-3072', key: () => generateRsaKey(3072), options: ['-sha384'] },
  { name: 'RSA-4096', key: () => generateRsaKey(4096), options: ['-sha512'] },
  { name: 'RSA-2048-PSS', key: () => generateRsaKey(2048), options: pss },
  { name: 'Ed25519', key: () => generateEd25519Key() },
];

describe('a CSR made by openssl becomes a certificate that openssl verifies', () => {
  for (const { name, key, options = [] } of kinds) {
    it(`a key of kind ${name}`, async () => {
      const privateKey = key();
      const deviceId = await cloud.newDevice(name);
      const request = { deviceId, requestId: 'first' };
      const messageId = await cloud.request({ ...request, csr: makePemCsr(privateKey, deviceId, { options }) });

      const { certificate, serialNumber } = await cloud.issued(request);
      const { issuingCertificate: issuing, rootCertificate: root } = cloud.local;
      expect(verifyChain({ leaf: certificate, issuing, root })).toMatch(/: OK\n$/);
      expect(publicKeyOf(certificate)).toEqual(subjectPublicKeyInfoOf(privateKey));
      const read = new X509Certificate(certificate);
      expect(read.serialNumber.toLowerCase()).toBe(serialNumber);
      expect(read.subject.split('\n')).toContain(`CN=${deviceId}`);
      expect(await cloud.ended(messageId)).toMatchObject({ message: 'issued', serialNumber, receiveCount: 1 });
    });
  }
});

describe('what a certificate points to', () => {
  it('caIssuers is the issuing CA, over plain http, and its caIssuers the root', async () => {
    const deviceId = await cloud.newDevice('points');
    const request = { deviceId, requestId: 'first' };
    await cloud.request({ ...request, csr: makePemCsr(generateEcKey('P-256'), deviceId) });
    const { certificate } = await cloud.issued(request);
    const { issuingCertificate, rootCertificate } = cloud.local;

    expect(await fetched(caIssuersOf(certificate))).toEqual(Buffer.from(issuingCertificate));
    expect(await fetched(caIssuersOf(issuingCertificate))).toEqual(Buffer.from(rootCertificate));
    expect(printExtension(certificate, 'crlDistributionPoints')).toMatch(
      /URI:http:\/\/\S+\/crl\/devices\/[0-3]\.crl\n/,
    );
  });

  it('a name that the profile grants on request is granted when the CSR asks for it, base64 of DER will do', async () => {
    const deviceId = await cloud.newDevice('host');
    const request = { deviceId, requestId: 'first' };
    const csr = makeCsr(generateEcKey('P-256'), {
      subject: `/CN=${deviceId}`,
      extensions: [`subjectAltName = DNS:${deviceId}`],
    });
    await cloud.request({ ...request, csr: csr.toString('base64') });
    const { certificate } = await cloud.issued(request);
    const names = printExtension(certificate, 'subjectAltName');
    expect(names).toContain(`DNS:${deviceId}`);
    expect(names).toContain(`URI:urn:dev:org:32473-${deviceId}`);
  });
});

describe('the topic of certificates', () => {
  it('tells every answer, which is in the ledger by then', async () => {
    const { local } = cloud;
    const topicArn = local.cloud.resources.CertificatesTopic?.ref;
    const sns = new SNSClient({
      endpoint: local.cloud.endpoint,
      region: local.cloud.environment.AWS_REGION ?? '',
      credentials: { accessKeyId: 'LOCALSUBSCRIBER', secretAccessKey: 'local' },
    });
    const { QueueUrl: url } = await local.clients.sqs.send(new CreateQueueCommand({ QueueName: 'subscriber' }));
    const queueArn = `${local.cloud.resources.RequestsQueue?.arn.replace(/[^:]+$/, '')}subscriber`;
    await sns.send(new SubscribeCommand({ TopicArn: topicArn, Protocol: 'sqs', Endpoint: queueArn }));
    sns.destroy();
    const told = async (requestId: string) => {
      const command = new ReceiveMessageCommand({ QueueUrl: url, MaxNumberOfMessages: 10 });
      const { Messages: messages = [] } = await local.clients.sqs.send(command);
      return messages
        .map(({ Body: body = '{}' }) => JSON.parse((JSON.parse(body) as { Message: string }).Message) as Announcement)
        .find((announcement) => announcement.requestId === requestId);
    };

    const deviceId = await cloud.newDevice('told');
    await cloud.request({ deviceId, requestId: 'good', csr: makePemCsr(generateEcKey('P-256'), deviceId) });
    const issued = await until(() => told('good'), 'announcement');
    const row = await cloud.row({ deviceId, requestId: 'good' });
    if (row?.state !== 'issued') throw new Error('It was announced before it was stored.');
    const { serialNumber, certificate } = row;
    expect(issued).toMatchObject({ type: 'certificate.issued', deviceId, serialNumber, profile: 'device-tls' });
    expect(issued).toHaveProperty('certificate', certificatePem(certificate));

    await cloud.request({ deviceId, requestId: 'bad', csr: 'bad' });
    const rejected = await until(() => told('bad'), 'announcement');
    const { code, cure } = new MintmarkError('CSR_NOT_DECODABLE', '');
    expect(rejected).toMatchObject({ type: 'certificate.rejected', deviceId, code, cure });
  });
});

function caIssuersOf(certificate: Uint8Array): string {
  const url = /CA Issuers - URI:(\S+)/.exec(printExtension(certificate, 'authorityInfoAccess'))?.[1];
  if (url === undefined) throw new Error('No caIssuers in the certificate.');
  expect(url).toMatch(/^http:\/\//);
  return url;
}

async function fetched(url: string): Promise<Buffer> {
  const answer = await fetch(url);
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-type')).toBe('application/pkix-cert');
  return Buffer.from(await answer.arrayBuffer());
}
