import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body: Buffer;
}

/** The shape in which a client expects an error, as its request shows (Smithy's AWS protocols). */
export type Protocol = 'awsJson' | 'query' | 'restJson' | 'restXml' | 'rpcv2Cbor';

export function protocolOf(service: string | undefined, headers: IncomingHttpHeaders): Protocol {
  if (headers['smithy-protocol'] === 'rpc-v2-cbor') return 'rpcv2Cbor';
  if (headers['x-amz-target'] !== undefined) return 'awsJson';
  if (headers['content-type']?.includes('x-www-form-urlencoded') === true) return 'query';
  return service === 's3' || service === undefined ? 'restXml' : 'restJson';
}

/** An error as an AWS SDK understands it: its `name` is `code`, its message `message`. */
export function awsError(protocol: Protocol, status: number, code: string, message: string): Answer {
  const requestId = randomUUID();
  const answer = (contentType: string, body: string | Buffer, headers: Record<string, string> = {}): Answer => ({
    status,
    headers: { 'content-type': contentType, 'x-amzn-requestid': requestId, ...headers },
    body: Buffer.from(body),
  });
  switch (protocol) {
    case 'awsJson':
      return answer('application/x-amz-json-1.0', JSON.stringify({ __type: code, message }));
    case 'restJson':
      return answer('application/json', JSON.stringify({ Type: status < 500 ? 'User' : 'Service', Message: message }), {
        'x-amzn-errortype': code,
      });
    case 'query':
      return answer(
        'text/xml',
        `<ErrorResponse><Error><Type>${status < 500 ? 'Sender' : 'Receiver'}</Type><Code>${code}</Code>` +
          `<Message>${escapeXml(message)}</Message></Error><RequestId>${requestId}</RequestId></ErrorResponse>`,
      );
    case 'restXml':
      return answer(
        'application/xml',
        `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${escapeXml(message)}</Message>` +
          `<RequestId>${requestId}</RequestId></Error>`,
      );
    case 'rpcv2Cbor':
      return answer('application/cbor', cborMap({ __type: code, message }), { 'smithy-protocol': 'rpc-v2-cbor' });
  }
}

export function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** RFC 8949: a map (major type 5) of text strings (major type 3, two-byte length). */
function cborMap(entries: Readonly<Record<string, string>>): Buffer {
  const text = (value: string) => {
    const bytes = Buffer.from(value);
    return Buffer.concat([Buffer.from([0x79, bytes.length >> 8, bytes.length & 0xff]), bytes]);
  };
  const pairs = Object.entries(entries);
  return Buffer.concat([Buffer.from([0xa0 + pairs.length]), ...pairs.flatMap((pair) => pair.map(text))]);
}
