import * as z from 'zod';
import { profileSchema } from './profile/schema.ts';

/**
 * The profiles' form as JSON Schema (draft 2020-12), for editors. What fields may not say together it cannot hold: reading
 * a profile does, as `mintmark profiles check` shows.
 */
export const profileJsonSchema = (): object => ({
  title: 'A certificate profile of Mintmark',
  ...z.toJSONSchema(profileSchema, { target: 'draft-2020-12', io: 'input' }),
});
