import { describe, expect, it } from 'vitest';
import { dockerArguments } from '../../local/localstack/docker.ts';

describe('docker run for LocalStack', () => {
  const args = dockerArguments({
    port: 4566,
    functionEnvironment: { AWS_ENDPOINT_URL_KMS: 'http://127.0.0.1:8080', SOFTHSM2_CONF: "/it's/softhsm2.conf" },
    functionMounts: ['/usr/lib/softhsm'],
  });

  it('pins the image and publishes its port on loopback only', () => {
    expect(args.at(-1)).toBe('localstack/localstack:4.14.0');
    expect(args[args.indexOf('--publish') + 1]).toBe('127.0.0.1:4566:4566');
  });

  it("hands variables and mounts to the functions' containers, the machine's own addresses by its name there", () => {
    const flags = args.find((each) => each.startsWith('LAMBDA_DOCKER_FLAGS='));
    expect(flags).toBe(
      'LAMBDA_DOCKER_FLAGS=' +
        '--add-host=host.docker.internal:host-gateway ' +
        "-e 'AWS_ENDPOINT_URL_KMS=http://host.docker.internal:8080' " +
        `-e 'SOFTHSM2_CONF=/it'\\''s/softhsm2.conf' ` +
        "-v '/usr/lib/softhsm:/usr/lib/softhsm'",
    );
  });
});
