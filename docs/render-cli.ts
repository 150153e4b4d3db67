import { writeFileSync } from 'node:fs';
import { loadTyped } from '../cli/command.ts';
import { commands, groups } from '../cli/commands/index.ts';
import { buildProgram } from '../cli/program.ts';

const introduction = `# The mintmark command

Made from the commands' own help by \`npm run docs\`.

\`npx mintmark\` in a checkout, or a folder in it, after \`npm ci\` or the first \`npm start\`, on Node 20 or later. npm runs a
checkout's own command there and asks no registry. Anywhere else \`npx mintmark\` would ask the public registry for whatever
has that name: type \`npx --no mintmark\`, which installs nothing, or call \`local/setup/mintmark.mjs\` of the checkout by its
path, or by a link to it in a folder of your \`PATH\`.

It speaks to AWS or to either local cloud, whichever the AWS CLI would speak to: \`AWS_PROFILE\` or keys, \`AWS_REGION\`,
\`AWS_DEFAULT_REGION\` or the profile's Region, and for a local cloud the variables that \`npm start\` prints. A profile that
asks for a code (\`mfa_serial\`) is signed in with the AWS CLI: \`eval "$(aws configure export-credentials --format env)"\`, then
\`unset AWS_PROFILE\`. The stage is named, by \`--stage\` or \`MINTMARK_STAGE\`; only where \`AWS_ENDPOINT_URL\` says
that it is an emulator is it \`local\` without being named. What a role needs for all of this is the managed policy
\`OperatorPolicyArn\` (an output of the stage); for \`failures redrive\` and \`dismiss\`, \`RedrivePolicyArn\`; for what changes
\`devices\`, \`senders\` and \`keys\`, \`RegistrationPolicyArn\`; for what changes \`issuers\`, \`IssuersPolicyArn\`;
for \`pin\`, \`PinsPolicyArn\`.

With \`--json\` stdout is one JSON value and nothing else; what went wrong is \`{"error": {"message", "cure"}}\` then, with what
was found out before it where there is such. Progress, warnings and errors go to stderr. Fields are added to the JSON, never renamed. Times are in UTC. What devices, senders and
file names put into the tables is shown without anything that a terminal acts upon.

| exit code | meaning |
|---|---|
| 0 | all is well |
| 1 | the answer is bad: a critical finding, a request that was rejected, failed or not answered in time, a certificate that has expired, is revoked or could not be written, no answer from the watch, nothing found to show or export |
| 2 | wrong use, or its surroundings: an unknown option, a file that is no CSR, a key where a certificate would be written, no credentials, no such stage, no answer from AWS, no Node 20, stdout that cannot be written to |
| 130 | interrupted |
`;

/** docs/cli.md, from the commands themselves. */
export async function renderCommands(): Promise<string> {
  const words = commands.flatMap(({ name }) => name);
  const program = buildProgram(await loadTyped(commands, words), groups, {
    version: '',
    writeOut: () => {},
    onInvocation: () => {},
  });
  const sections = commands.map(({ name }) => {
    const command = name.reduce((parent, word) => {
      const found = parent.commands.find((one) => one.name() === word);
      if (found === undefined) throw new Error(`There is no command ${name.join(' ')}.`);
      return found;
    }, program);
    const [own = ''] = command.helpInformation().split('\nGlobal Options:\n');
    return `## mintmark ${name.join(' ')}\n\n\`\`\`\n${own.trim()}\n\`\`\`\n`;
  });
  const [, common = ''] = program.helpInformation().split('\nOptions:\n');
  const [options = ''] = common.split('\n\nCommands:\n');
  return `${introduction}\nOptions of every command:\n\n\`\`\`\n${options}\n\`\`\`\n\n${sections.join('\n')}`;
}

if (import.meta.main) writeFileSync(new URL('./cli.md', import.meta.url), await renderCommands());
