import { statSync } from 'node:fs';
import { parseArgs } from 'node:util';

/**
 * The options of `npm start`, in one place for set-up (which refuses a wrong one before it installs anything) and for
 * local/start.ts. Free of dependencies and plain JavaScript, since set-up runs before there are any.
 *
 * @typedef {object} StartOptions
 * @property {string | undefined} csr folder with the user's own CSRs, as given; undefined: the demonstration fleet
 * @property {string} out folder that the certificates are written to, as given
 * @property {boolean} exit end when every CSR has its answer, instead of staying up
 * @property {'embedded' | 'localstack' | 'localstack-docker'} cloud what plays AWS
 * @property {'pkcs11' | 'awskms' | 'awskms-cloudhsm'} signer where the issuing CA's key is
 * @property {boolean} allowAsymmetric the stub takes asymmetric keys in the custom key store, which AWS refuses
 *
 * @typedef {{ kind: 'run', options: StartOptions } | { kind: 'help' } | { kind: 'wrong', sentence: string }} ParsedStart
 */

/**
 * One entry per option, so that the parser and the usage text cannot disagree.
 *
 * @type {Record<'csr' | 'out' | 'exit' | 'signer' | 'allow-asymmetric' | 'cloud' | 'docker' | 'help',
 *   { type: 'string' | 'boolean', default?: string | boolean, value?: string, meaning: string }>}
 */
const startOptions = {
  csr: {
    type: 'string',
    value: 'DIR',
    meaning: "issue for every file in DIR (PEM or DER; the file's stem is the device id)",
  },
  out: { type: 'string', value: 'DIR', default: 'out', meaning: 'write certificates and results.json there' },
  exit: { type: 'boolean', default: false, meaning: 'end when every CSR has its answer' },
  signer: {
    type: 'string',
    value: 'NAME',
    default: 'pkcs11',
    meaning: "where the CA's key is: pkcs11, awskms, or awskms-cloudhsm (a custom key store, which AWS refuses)",
  },
  'allow-asymmetric': {
    type: 'boolean',
    default: false,
    meaning: 'with --signer awskms-cloudhsm: let the stub take what AWS refuses',
  },
  cloud: { type: 'string', value: 'NAME', default: 'embedded', meaning: 'what plays AWS: embedded, or localstack' },
  docker: { type: 'boolean', default: false, meaning: 'with --cloud localstack: LocalStack in Docker' },
  help: { type: 'boolean', default: false, meaning: 'show this' },
};

/** @param {[string, { value?: string }]} entry */
const asWritten = ([name, { value }]) => (value === undefined ? `--${name}` : `--${name} ${value}`);

const width = Math.max(...Object.entries(startOptions).map((entry) => asWritten(entry).length)) + 2;

export const startUsage = [
  'Usage: npm start -- [options]',
  '',
  ...Object.entries(startOptions).map((entry) => {
    const [, option] = entry;
    const standard = typeof option.default === 'string' ? ` (${option.default})` : '';
    return `  ${asWritten(entry).padEnd(width)}${option.meaning}${standard}`;
  }),
].join('\n');

/**
 * @param {readonly string[]} args what follows `npm start --`
 * @returns {ParsedStart}
 */
export function parseStartOptions(args) {
  let values;
  try {
    ({ values } = parseArgs({ args: [...args], options: startOptions, strict: true, allowPositionals: false }));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return { kind: 'wrong', sentence: firstSentence(error.message) };
  }
  if (values.help === true) return { kind: 'help' };
  const csr = values.csr === undefined ? undefined : String(values.csr);
  if (csr !== undefined && statSync(csr, { throwIfNoEntry: false })?.isDirectory() !== true) {
    return { kind: 'wrong', sentence: `--csr ${csr} is not a folder.` };
  }
  const out = String(values.out);
  if (out === '') return { kind: 'wrong', sentence: '--out needs the name of a folder.' };
  const cloud = String(values.cloud);
  const docker = values.docker === true;
  if (cloud !== 'embedded' && cloud !== 'localstack') {
    return { kind: 'wrong', sentence: `--cloud is embedded or localstack, not '${cloud}'.` };
  }
  if (docker && cloud !== 'localstack')
    return { kind: 'wrong', sentence: '--docker goes with --cloud localstack only.' };
  const signer = String(values.signer);
  if (signer !== 'pkcs11' && signer !== 'awskms' && signer !== 'awskms-cloudhsm') {
    return { kind: 'wrong', sentence: `--signer is pkcs11, awskms or awskms-cloudhsm, not '${signer}'.` };
  }
  const allowAsymmetric = values['allow-asymmetric'] === true;
  if (allowAsymmetric && signer !== 'awskms-cloudhsm') {
    return { kind: 'wrong', sentence: '--allow-asymmetric goes with --signer awskms-cloudhsm only.' };
  }
  return {
    kind: 'run',
    options: {
      csr,
      out,
      exit: values.exit === true,
      signer,
      allowAsymmetric,
      cloud: docker ? 'localstack-docker' : cloud,
    },
  };
}

/**
 * An option without the `--` before it is npm's, which takes it for a setting of its own and says nothing.
 *
 * @param {NodeJS.ProcessEnv} environment as npm gives it to its scripts
 * @returns {string | undefined} a sentence, when one of ours was swallowed
 */
export function swallowedByNpm(environment) {
  const name = Object.keys(startOptions).find(
    (each) => environment[`npm_config_${each.replaceAll('-', '_')}`] !== undefined,
  );
  return name === undefined
    ? undefined
    : `npm took --${name} for itself: put -- before it, as in npm start -- --${name}.`;
}

/** @param {string} message Node's own, which goes on to explain how to pass positional arguments */
function firstSentence(message) {
  return `${message.split('. ')[0]?.replace(/\.$/, '') ?? message}.`;
}
