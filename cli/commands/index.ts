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
    summary: 'messages that ended without an answer under a device id, newest first',
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
    name: ['devices', 'import'],
    summary: 'register devices from a file, or change what their registrations say',
    load: async () => (await import('./devices-import.ts')).command,
  },
  {
    name: ['devices', 'list'],
    summary: 'registered devices, by fleet and state',
    load: async () => (await import('./devices-list.ts')).command,
  },
  {
    name: ['devices', 'show'],
    summary: 'one device: its registration, its certificates, and whose senders may enrol it',
    load: async () => (await import('./devices-show.ts')).command,
  },
  {
    name: ['devices', 'block'],
    summary: 'let devices have no further certificate',
    load: async () => (await import('./devices-block.ts')).command,
  },
  {
    name: ['devices', 'unblock'],
    summary: 'let blocked devices have certificates again',
    load: async () => (await import('./devices-unblock.ts')).command,
  },
  {
    name: ['senders', 'add'],
    summary: 'let a role or user enrol the devices of fleets by profiles, and no others',
    load: async () => (await import('./senders-add.ts')).command,
  },
  {
    name: ['senders', 'list'],
    summary: 'who is registered, for which fleets and profiles',
    load: async () => (await import('./senders-list.ts')).command,
  },
  {
    name: ['senders', 'show'],
    summary: 'one sender, and whether its ARN still has the id that SQS attests',
    load: async () => (await import('./senders-show.ts')).command,
  },
  {
    name: ['senders', 'remove'],
    summary: 'end the registration of a role or user',
    load: async () => (await import('./senders-remove.ts')).command,
  },
  {
    name: ['keys', 'block'],
    summary: 'let no request have a certificate with keys that others know',
    load: async () => (await import('./keys-block.ts')).command,
  },
  {
    name: ['keys', 'show'],
    summary: 'whether a key is blocked, and which device and certificates have it',
    load: async () => (await import('./keys-show.ts')).command,
  },
  {
    name: ['keys', 'unblock'],
    summary: 'let blocked keys be certified again',
    load: async () => (await import('./keys-unblock.ts')).command,
  },
  {
    name: ['issuers', 'list'],
    summary: 'issuing CAs, the names by which they issue, and by when to roll them',
    load: async () => (await import('./issuers-list.ts')).command,
  },
  {
    name: ['issuers', 'show'],
    summary: 'one issuing CA: its certificate, key, names and breaker',
    load: async () => (await import('./issuers-show.ts')).command,
  },
  {
    name: ['issuers', 'add'],
    summary: 'write down a new issuing CA, which issues nothing yet',
    load: async () => (await import('./issuers-add.ts')).command,
  },
  {
    name: ['issuers', 'activate'],
    summary: 'let a name lead to an issuing CA: its profiles issue by it',
    load: async () => (await import('./issuers-activate.ts')).command,
  },
  {
    name: ['issuers', 'deactivate'],
    summary: 'let a name that no profile has lead to no issuing CA any more',
    load: async () => (await import('./issuers-deactivate.ts')).command,
  },
  {
    name: ['issuers', 'retire'],
    summary: 'let an issuing CA sign no further certificate',
    load: async () => (await import('./issuers-retire.ts')).command,
  },
  {
    name: ['pin', 'seal'],
    summary: "encrypt a crypto user's PIN for those who sign with it, and with --break-glass for holders of shares",
    load: async () => (await import('./pin-seal.ts')).command,
  },
  {
    name: ['pin', 'status'],
    summary: 'whose PIN is sealed in which Region, since when, and with which key',
    load: async () => (await import('./pin-status.ts')).command,
  },
  {
    name: ['pin', 'rotate'],
    summary: "change to another crypto user's PIN, step by step and with a way back",
    load: async () => (await import('./pin-rotate.ts')).command,
  },
  {
    name: ['pin', 'recover'],
    summary: 'open a break-glass copy with the shares of enough holders, offline',
    load: async () => (await import('./pin-recover.ts')).command,
  },
  {
    name: ['profiles', 'check'],
    summary: 'what is wrong with profiles, and the certificate that each makes',
    load: async () => (await import('./profiles-check.ts')).command,
  },
  {
    name: ['layer', 'publish'],
    summary: "publish the Lambda layer with CloudHSM's client, and say what to deploy it with",
    load: async () => (await import('./layer-publish.ts')).command,
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
    name: ['relint'],
    summary: 'hold certificates that were issued to the rules of today',
    load: async () => (await import('./relint.ts')).command,
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
  devices: 'the devices table: which devices there are, and what each may have',
  senders: 'the senders table: who may enrol which fleets, and by which profiles',
  issuers: 'the issuing CAs, and by which names they issue',
  pin: 'the PINs that the signers log in to the HSM with, as they are sealed',
  profiles: 'what may be issued: profiles/*.yaml',
  keys: 'the keys table: which keys are compromised, and which are one device alone is to have',
  layer: "the Lambda layer with CloudHSM's client library: what the functions load it from",
  queue: 'the queues and the breakers: what waits, and whether the signers are asked',
};
