import type { CommandEntry } from '../command.ts';

/**
 * Every command, in the order of the help: one file each, loaded when it is typed (AWS's clients take their time to load,
 * and help or a slip of the finger needs none).
 */
export const commands: readonly CommandEntry[] = [
  {
    name: ['request'],
    summary: 'enqueue CSRs, and with --wait or --out get their certificates',
    load: async () => (await import('./request.ts')).command,
  },
  {
    name: ['certificates', 'list'],
    summary: 'rows of the issuance table: what was asked for, and what became of it',
    load: async () => (await import('./certificates-list.ts')).command,
  },
  {
    name: ['certificates', 'show'],
    summary: 'one row of the issuance table, with what its certificate says',
    load: async () => (await import('./certificates-show.ts')).command,
  },
  {
    name: ['certificates', 'export'],
    summary: 'certificates in PEM or DER, or rows of the issuance table as JSON lines or CSV',
    load: async () => (await import('./certificates-export.ts')).command,
  },
  {
    name: ['failures', 'list'],
    summary: 'messages that ended without an answer under a device id, newest day first',
    load: async () => (await import('./failures-list.ts')).command,
  },
  {
    name: ['failures', 'show'],
    summary: 'one failure, with its message as it came and what to do about it',
    load: async () => (await import('./failures-show.ts')).command,
  },
  {
    name: ['failures', 'redrive'],
    summary: 'send the messages of failures again, for their original senders',
    load: async () => (await import('./failures-redrive.ts')).command,
  },
  {
    name: ['failures', 'dismiss'],
    summary: 'close failures that need no answer any more',
    load: async () => (await import('./failures-dismiss.ts')).command,
  },
  {
    name: ['queue', 'status'],
    summary: 'what waits in the queues, whether it is being issued, and what to do if not',
    load: async () => (await import('./queue-status.ts')).command,
  },
  {
    name: ['queue', 'pause'],
    summary: 'keep requests from the signers until they are resumed; nothing is lost',
    load: async () => (await import('./queue-pause.ts')).command,
  },
  {
    name: ['queue', 'resume'],
    summary: 'let one batch try a paused signer; if that works, all',
    load: async () => (await import('./queue-resume.ts')).command,
  },
  {
    name: ['health'],
    summary: 'what the watch finds now: cluster, HSMs, backups, key store, canaries, issuing CAs',
    load: async () => (await import('./health.ts')).command,
  },
  {
    name: ['audit', 'signatures'],
    summary: 'who signed with the CA keys, how often, and whether requests explain it',
    load: async () => (await import('./audit-signatures.ts')).command,
  },
];

/** The first words of commands that have two, and what they are about. */
export const groups: Readonly<Record<string, string>> = {
  certificates: 'the issuance table: every request, and every certificate issued',
  failures: 'the failures table: messages that ended without an answer under a device id',
  audit: 'the CA keys: whether what they signed is what was to be signed',
  queue: 'the queues and the breakers: what waits, and whether the signers are asked',
};
