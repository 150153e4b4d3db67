import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createServer, type SecureVersion, connect as tlsConnect } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { goEnvironment } from '../../local/judges/prerequisites.ts';
import { certificatePem } from '../../shared/issuance/certificate.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import type { Hierarchy } from './issued-certificates.ts';

/** A certificate with its key and its issuer's certificate: what either side of a handshake shows. */
export interface Identity {
  readonly certificate: Uint8Array;
  /** PEM. */
  readonly privateKey: string;
  readonly hierarchy: Hierarchy;
}

/** A TLS server on loopback that wants a client certificate under one root. */
export interface TlsServer {
  readonly port: number;
  /** What it has said so far, why it refused clients among it. */
  readonly said: () => readonly string[];
  stop(): Promise<void>;
}

/** The certificate and its issuer's, as both sides send them. */
const chainOf = ({ certificate, hierarchy }: Identity): string =>
  `${certificatePem(certificate)}${certificatePem(hierarchy.issuing)}`;

interface Files {
  readonly chain: string;
  readonly leaf: string;
  readonly issuing: string;
  readonly key: string;
  readonly root: string;
}

function filesOf(identity: Identity): Files {
  const folder = temporaryFolder('tls');
  const write = (name: string, content: string, mode = 0o644) => {
    const path = join(folder, name);
    writeFileSync(path, content, { mode });
    return path;
  };
  return {
    chain: write('chain.pem', chainOf(identity)),
    leaf: write('leaf.pem', certificatePem(identity.certificate)),
    issuing: write('issuing.pem', certificatePem(identity.hierarchy.issuing)),
    key: write('key.pem', identity.privateKey, 0o600),
    root: write('root.pem', certificatePem(identity.hierarchy.root)),
  };
}

/** `tls.createServer` of this Node. */
export async function startNodeServer(identity: Identity): Promise<TlsServer> {
  const refusals: string[] = [];
  const server = createServer({
    key: identity.privateKey,
    cert: chainOf(identity),
    ca: certificatePem(identity.hierarchy.root),
    requestCert: true,
    rejectUnauthorized: true,
  });
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('secureConnection', (socket) => {
    socket.on('error', (error) => refusals.push(error.message));
    const { serialNumber = '' } = socket.getPeerX509Certificate() ?? {};
    socket.end(`accepted ${serialNumber}\n`);
  });
  server.on('tlsClientError', (error, socket) => refusals.push(String(socket.authorizationError ?? error.message)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    said: () => refusals,
    stop: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Go's crypto/tls: the program in tls-server/, built now. */
export async function startGoServer(go: string, identity: Identity): Promise<TlsServer> {
  const program = join(temporaryFolder('tls-server'), 'tls-server');
  const cwd = fileURLToPath(new URL('./tls-server', import.meta.url));
  execFileSync(go, ['build', '-o', program, '.'], {
    cwd,
    env: goEnvironment(),
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const { chain, key, root } = filesOf(identity);
  const child = spawn(program, ['-certificate', chain, '-key', key, '-root', root], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const { first, lines } = await linesOf(child, /^(\d+)$/);
  return { port: Number(first), said: () => lines, stop: () => ended(child) };
}

/** `openssl s_server`, which answers HTTP with what it knows of the connection. */
export async function startOpensslServer(identity: Identity): Promise<TlsServer> {
  const { leaf, issuing, key, root } = filesOf(identity);
  const own = ['-accept', '127.0.0.1:0', '-cert', leaf, '-key', key, '-cert_chain', issuing];
  // Nothing of the machine's own trust.
  const trust = ['-no-CApath', '-no-CAstore', '-CAfile', root];
  const wants = ['-Verify', '2', '-verify_return_error', '-www'];
  const child = spawn('openssl', ['s_server', ...own, ...trust, ...wants], { stdio: ['pipe', 'pipe', 'pipe'] });
  const { first, lines } = await linesOf(child, /^ACCEPT .*:(\d+)$/);
  return { port: Number(first), said: () => lines, stop: () => ended(child) };
}

/** The first line of the form, and every line from then on, errors among them. */
async function linesOf(child: ChildProcess, form: RegExp): Promise<{ first: string; lines: string[] }> {
  if (child.stdout === null) throw new Error('The server has no standard output');
  const lines: string[] = [];
  const output = createInterface(child.stdout);
  if (child.stderr !== null) createInterface(child.stderr).on('line', (line) => lines.push(line));
  const first = new Promise<string>((resolve, reject) => {
    output.on('line', (line) => {
      const found = form.exec(line)?.[1];
      if (found === undefined) lines.push(line);
      else resolve(found);
    });
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`The server ended (${code}): ${lines.join('\n')}`)));
  });
  return { first: await first, lines };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.stdin?.end();
  child.kill();
  await exit;
}

export type TlsVersion = Extract<SecureVersion, 'TLSv1.2' | 'TLSv1.3'>;

/**
 * What comes of a client of this Node that shows an identity, or none: `accepted` and the serial number that the server
 * read; else the alert (RFC 8446 section 6) or error that ended it. It answers when the server has closed.
 */
export function handshake(
  port: number,
  version: TlsVersion,
  root: Uint8Array,
  identity: Identity | undefined,
): Promise<string> {
  return new Promise((resolve) => {
    const shown = identity === undefined ? {} : { cert: chainOf(identity), key: identity.privateKey };
    const socket = tlsConnect({
      port,
      host: '127.0.0.1',
      servername: 'localhost',
      ca: certificatePem(root),
      minVersion: version,
      maxVersion: version,
      ...shown,
    });
    let text = '';
    socket.setEncoding('utf8').on('data', (data: string) => (text += data));
    // openssl answers a request; the others have answered before they read one.
    socket.once('secureConnect', () => socket.write('GET / HTTP/1.0\r\n\r\n'));
    let failure: NodeJS.ErrnoException | undefined;
    socket.on('error', (error) => (failure ??= error));
    socket.once('close', () => resolve(acceptedIn(text) ?? failure?.code ?? 'closed'));
  });
}

/** The line of the servers that are ours to write, or openssl's page. */
function acceptedIn(text: string): string | undefined {
  const line = /^accepted ([0-9A-F]+)\n/.exec(text)?.[1];
  const page = /Client certificate[\s\S]*?Serial Number:\s*((?:[0-9a-f]{2}:?)+)/.exec(text)?.[1];
  const serialNumber = line ?? page?.replaceAll(':', '').toUpperCase();
  return serialNumber === undefined ? undefined : `accepted ${serialNumber}`;
}

export const serialNumberOf = ({ certificate }: Identity): string => new X509Certificate(certificate).serialNumber;
