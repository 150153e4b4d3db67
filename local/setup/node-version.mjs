/**
 * Imported first by what a user starts: an older Node would fail somewhere further on, in a way that explains nothing.
 * Also the one place that says where Mintmark can run at all.
 */
if (Number(process.versions.node.split('.')[0]) < 20) {
  refuse(
    `Mintmark needs Node 20 or later to start, and this is ${process.version}.`,
    'Install one from https://nodejs.org/.',
  );
}
if (process.platform !== 'linux' && process.platform !== 'darwin') {
  refuse(`Mintmark runs on Linux and macOS, and this is ${process.platform}.`, 'On Windows, use WSL 2.');
}

/**
 * Ends the process as one whose surroundings are not as they must be (docs/cli.md); with --json stdout says it too.
 *
 * @param {string} message a sentence
 * @param {string} cure another
 * @returns {never}
 */
export function refuse(message, cure) {
  console.error(`${message} ${cure}`.trim());
  if (process.argv.includes('--json')) console.log(JSON.stringify({ error: { message, cure } }, undefined, 2));
  process.exit(2);
}
