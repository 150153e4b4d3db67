import { createHash } from 'node:crypto';
import * as z from 'zod';
import type { Answer } from './aws-error.ts';
import { awsError } from './aws-error.ts';
import type { Service } from './gateway.ts';

export interface LayersOptions {
  readonly region: string;
  readonly accountId: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** PublishLayerVersion's request, as far as the project makes it. */
const publishing = z.strictObject({
  Description: z.string().max(256).optional(),
  Content: z.strictObject({ ZipFile: z.base64() }),
  CompatibleRuntimes: z.array(z.string()).max(15),
  CompatibleArchitectures: z.array(z.enum(['arm64', 'x86_64'])).max(2),
});

interface LayerVersion {
  readonly summary: {
    readonly LayerVersionArn: string;
    readonly Version: number;
    readonly Description: string;
    readonly CreatedDate: string;
    readonly CompatibleRuntimes: readonly string[];
    readonly CompatibleArchitectures: readonly string[];
  };
  readonly content: { readonly CodeSha256: string; readonly CodeSize: number };
}

const path = /^\/2018-10-31\/layers\/(?<name>[^/]+)\/versions\/?(?<version>\d+)?\/?$/;

/**
 * Layers, as far as the project publishes them: PublishLayerVersion, ListLayerVersions and GetLayerVersion (AWS Lambda API
 * reference). No function here has one: what is published is kept by its SHA-256, and used by nobody.
 *
 * @param others for all other calls of Lambda's API
 */
export function withLayers(others: Service, { region, accountId, now }: LayersOptions): Service {
  const layers = new Map<string, LayerVersion[]>();
  return async (request) => {
    const { method, url, body } = request;
    const { pathname, searchParams } = new URL(url, 'http://localhost');
    const { name, version } = path.exec(pathname)?.groups ?? {};
    if (name === undefined) return others(request);
    const versions = layers.get(name) ?? [];
    if (method === 'GET' && version !== undefined) return described(versions, Number(version));
    if (method === 'GET') {
      const architecture = searchParams.get('CompatibleArchitecture');
      const listed = versions
        .map(({ summary }) => summary)
        .filter(({ CompatibleArchitectures: some }) => architecture === null || some.includes(architecture));
      return json(200, { LayerVersions: listed.reverse() });
    }
    if (method !== 'POST' || version !== undefined) {
      const message = `The embedded cloud does not implement ${method} ${pathname} of Lambda's API.`;
      return awsError('restJson', 501, 'NotImplemented', message);
    }
    const asked = publishing.safeParse(JSON.parse(body.toString()));
    if (!asked.success) {
      return awsError('restJson', 400, 'InvalidParameterValueException', z.prettifyError(asked.error));
    }
    const { Content: content, Description: description = '', ...compatible } = asked.data;
    const zip = Buffer.from(content.ZipFile, 'base64');
    const made: LayerVersion = {
      summary: {
        ...compatible,
        LayerVersionArn: `arn:aws:lambda:${region}:${accountId}:layer:${name}:${versions.length + 1}`,
        Version: versions.length + 1,
        Description: description,
        CreatedDate: new Date(now()).toISOString(),
      },
      content: { CodeSha256: createHash('sha256').update(zip).digest('base64'), CodeSize: zip.length },
    };
    layers.set(name, [...versions, made]);
    return json(201, shape(made));
  };
}

function described(versions: readonly LayerVersion[], number: number): Answer {
  const found = versions.find(({ summary }) => summary.Version === number);
  if (found !== undefined) return json(200, shape(found));
  return awsError('restJson', 404, 'ResourceNotFoundException', 'The resource you requested does not exist.');
}

const shape = ({ summary, content }: LayerVersion): object => ({ ...summary, Content: content });

function json(status: number, content: object): Answer {
  return { status, headers: { 'content-type': 'application/json' }, body: Buffer.from(JSON.stringify(content)) };
}
