import { parsePkcs11Uri } from '../shared/signer/index.ts';

/**
 * What is done in the HSM, by people with CloudHSM CLI (AWS CloudHSM User Guide, "key share", "user change-password"): the
 * commands that they type into it, whose passwords it asks for.
 */

/** Which keys the signer URI names, as CloudHSM CLI selects them. */
function filterOf(signerUri: string): string {
  const { object, id } = parsePkcs11Uri(signerUri);
  return [
    ...(object === undefined ? [] : [`attr.label="${object}"`]),
    ...(id === undefined ? [] : [`attr.id=0x${Buffer.from(id).toString('hex')}`]),
  ].join(' ');
}

/** Before the other user's PIN is sealed. */
export function stepsBefore(signerUri: string, userName: string): string[] {
  const filter = filterOf(signerUri);
  const share = (keyClass: string) =>
    `     key share --filter ${filter} attr.class=${keyClass} --username ${userName} --role crypto-user`;
  return [
    `  1. An admin gives ${userName} the password of this PIN (user create, where there is no such user yet):`,
    `     user change-password --username ${userName} --role crypto-user`,
    '  2. The crypto user who owns the CA key shares it, both halves:',
    share('private-key'),
    share('public-key'),
    `  3. That user sees it done: ${userName} is among shared-users with key-coverage full, and not among key-owners:`,
    `     key list --filter ${filter} --verbose`,
  ];
}

/** When nobody signs as the first user any more. */
export const stepsAfter = (userName: string): string[] => [
  `An admin gives ${userName} a new password, so that the old PIN is worth nothing. CloudHSM CLI refuses that while ${userName} is logged`,
  'in to the cluster: then something else has that PIN, or an environment that no longer signs has not been ended yet; try later.',
  `  user change-password --username ${userName} --role crypto-user`,
];
