/**
 * Imported first by what a user starts: an older Node would fail somewhere further on, in a way that explains nothing.
 * Also the one place that says where Mintmark can run at all.
 */
if (Number(process.versions.node.split('.')[0]) < 20) {
  console.error(
    `Mintmark needs Node 20 or later to start, and this is ${process.version}: install one from https://nodejs.org/.`,
  );
  process.exit(1);
}
if (process.platform !== 'linux' && process.platform !== 'darwin') {
  console.error(`Mintmark runs on Linux and macOS, and this is ${process.platform}: on Windows, use WSL 2.`);
  process.exit(1);
}
