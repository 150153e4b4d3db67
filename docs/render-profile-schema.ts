import { writeFileSync } from 'node:fs';
import { profileJsonSchema } from '../shared/issuance/profile-json-schema.ts';

writeFileSync(
  new URL('../profiles/profile.schema.json', import.meta.url),
  `${JSON.stringify(profileJsonSchema(), undefined, 2)}\n`,
);
