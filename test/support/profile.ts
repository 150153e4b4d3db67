import { readFileSync } from 'node:fs';
import { type Profile, readProfile } from '../../shared/issuance/profile.ts';

/** The text of the profile that is deployed. */
export const deviceTlsYaml = readFileSync(new URL('../../profiles/device-tls.yaml', import.meta.url), 'utf8');

export const deviceTls: Profile = readProfile('device-tls.yaml', deviceTlsYaml);
