export { type CheckedFile, checkFile } from './check-file.ts';
export {
  type Existing,
  existingChoices,
  FileChanged,
  type ImportedDevice,
  type ImportOutcome,
  importOutcomes,
  importRegistrations,
} from './import.ts';
export { registrationFields } from './registration.ts';
export { type FileFormat, fileFormats, registrationsIn } from './registration-file.ts';
