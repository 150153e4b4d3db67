import { readRegisteredName } from '../issuance/index.ts';

/** What is expected of a registered name, for a sentence. */
export const registeredNameForms =
  'DNS:host.example.com, IP:192.0.2.7, URI:spiffe://example.com/pump or email:pump@example.com';

/** A name that a registration may list, in the one way that it is stored; undefined for what is none. */
export const canonicalRegisteredName = (text: string): string | undefined => readRegisteredName(text)?.canonical;
