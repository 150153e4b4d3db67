import { writeFileSync } from 'node:fs';
import { type Disposition, errorKinds } from '../shared/errors.ts';

const meanings: Readonly<Record<Disposition, { readonly title: string; readonly text: string }>> = {
  'reject-final': {
    title: 'Rejected for good',
    text: 'A row with this code stands under the request id, and the same request gets the same answer. Mend what the code says and send a new request under a new request id.',
  },
  'reject-reopenable': {
    title: 'Rejected for now',
    text: 'A row with this code stands under the request id. What is wrong lies outside of what the request id is bound to (registration, or a signature over the same content): once it is mended, the request is looked at anew under the same id.',
  },
  fail: {
    title: 'Failed',
    text: 'Nobody can be answered under a device id. The message is a row in the failures table, under the class, with its body, its sender and this code.',
  },
  retry: {
    title: 'Tried again',
    text: 'Nothing is wrong with the request. It is tried again, later each time, until it is older than GIVE_UP_AFTER_SECONDS; then it is a row in the failures table, under the class.',
  },
};

/** docs/errors.md, from the closed set of errors itself. */
export function renderErrors(): string {
  const sections = Object.entries(meanings).map(([disposition, { title, text }]) => {
    const kinds = Object.entries(errorKinds).filter(([, kind]) => kind.disposition === disposition);
    const withClass = kinds.some(([, kind]) => 'failureClass' in kind);
    const rows = kinds.map(([code, kind]) => {
      const failureClass = withClass ? ` ${'failureClass' in kind ? kind.failureClass : ''} |` : '';
      return `| \`${code}\` |${failureClass} ${kind.cure} |`;
    });
    const head = withClass ? '| code | class | what to do |\n|---|---|---|' : '| code | what to do |\n|---|---|';
    return `## ${title}\n\n${text}\n\n${head}\n${rows.join('\n')}\n`;
  });
  return `# Codes\n\nMade from shared/errors.ts by \`npm run docs\`. Codes are added, never renamed: branch on them.\n\n${sections.join('\n')}`;
}

if (import.meta.main) writeFileSync(new URL('./errors.md', import.meta.url), renderErrors());
