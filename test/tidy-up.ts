import { afterAll } from 'vitest';
import { removeTemporaryFolders } from './support/temporary-folder.ts';

// Vitest's set-up of each test file, also of those that share a process and its modules with others.
afterAll(removeTemporaryFolders);
