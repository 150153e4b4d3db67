import { CreateKeyCommand, DisableKeyCommand } from '@aws-sdk/client-kms';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeIssuerKeys } from '../../shared/cluster/issuer-keys.ts';
import { certificateForKmsKey } from '../support/kms-key-certificate.ts';
import { region, startTestStub, type TestStub } from './stub-fixture.ts';

/** The watch's look at the keys of issuers in KMS, on the stub of it. */

let stub: TestStub;

beforeAll(async () => {
  stub = await startTestStub();
});
afterAll(() => stub?.stop());

async function createKey(): Promise<string> {
  const { KeyMetadata: made } = await stub.kms.send(
    new CreateKeyCommand({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' }),
  );
  return made?.Arn ?? '';
}

const look = async (arn: string, certificate: Uint8Array | undefined) => {
  const sources = { kms: stub.kms, region, partMilliseconds: 10_000 };
  const [found] = await describeIssuerKeys(sources, [
    { issuerId: 'devices', signerUri: `awskms:key-id=${arn}`, certificate },
  ]);
  return found?.key;
};

describe("a key in KMS, against its issuer's certificate", () => {
  it("is the certificate's, or another's", async () => {
    const [own, other] = [await createKey(), await createKey()];
    const certificate = await certificateForKmsKey(stub.kms, own);
    expect(await look(own, certificate)).toMatchObject({ value: { isOfCertificate: true } });
    expect(await look(other, certificate)).toMatchObject({ value: { isOfCertificate: false } });
  });

  it('is not compared where there is nothing to compare, which other rules tell of', async () => {
    const arn = await createKey();
    const own = await certificateForKmsKey(stub.kms, arn);
    for (const certificate of [undefined, Uint8Array.of(1)]) {
      expect(await look(arn, certificate)).not.toHaveProperty('value.isOfCertificate');
    }
    await stub.kms.send(new DisableKeyCommand({ KeyId: arn }));
    const found = await look(arn, own);
    expect(found).toMatchObject({ value: { state: 'Disabled' } });
    expect(found).not.toHaveProperty('value.isOfCertificate');
  });
});
