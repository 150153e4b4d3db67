import { describe, expect, it } from 'vitest';
import { dockerArguments } from '../../local/localstack/docker.ts';

describe('docker run for LocalStack', () => {
  const args = dockerArguments(4567, {
    region: 'eu-central-1',
    functionEnvironment: { AWS_ENDPOINT_URL_KMS: 'http://127.0.0.1:8080' },
    folder: '/state',
    libraries: ['/usr/lib/softhsm'],
  });

  it('pins the image, and listens on loopback only', () => {
    expect(args.slice(args.findIndex((each) => !each.startsWith('-') && each !== 'run'))).toEqual([
      'localstack/localstack:4.14.0',
      '-m',
      'mintmark_localstack',
    ]);
    expect(args).toContain('--env=GATEWAY_LISTEN=127.0.0.1:4567');
    expect(args).toContain('--network=host');
  });

  it('hands in what the functions need, and lets them write nowhere but into the state folder', () => {
    expect(args).toContain('--volume=/usr/lib/softhsm:/usr/lib/softhsm:ro');
    const writable = args.filter((each) => each.startsWith('--volume=') && !each.endsWith(':ro'));
    expect(writable).toEqual(['--volume=/state:/state']);
    const variable = args.find((each) => each.startsWith('--env=MINTMARK_FUNCTION_ENVIRONMENT=')) ?? '';
    expect(JSON.parse(variable.slice(variable.indexOf('{')))).toMatchObject({
      AWS_ENDPOINT_URL_KMS: 'http://127.0.0.1:8080',
    });
  });
});
