// Ends the process with a sentence on a Node that is too old. It imports nothing, because old ones cannot read what newer code is written in.

/** The oldest Node that runs LogLog: package.json's engines. */
const OLDEST = [20, 19] as const;

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
  console.error(
    `loglog: this is Node ${process.version}, and LogLog needs Node ${OLDEST.join('.')} or newer: install one, for example Node 24 (nodejs.org)`,
  );
  process.exit(2);
}
