// What `loglog doctor` finds wrong: each with what was seen, what was expected instead, and what to do next. The codes are stable, the sentences may change.

/** In the order in which they are told: what keeps the cluster from working first. */
export const FINDING_CODES = [
  'NO_MAJORITY',
  'NODE_DOWN',
  'WRONG_ADDRESS',
  'TWO_NODES_ONE_ID',
  'NODES_APART',
  'DIFFERENT_LOGS',
  'NOT_A_LOG',
  'UNFINISHED',
  'DAMAGED',
  'CANNOT_BE_FED',
  'OLD_COPY',
  'NOT_A_VOTER',
  'DISK_FULL',
  'DISK_LOW',
  'NOT_WRITABLE',
  'DISK_LIES',
  'NOT_DURABLE',
  'DISK_SLOW',
  'CLOCK_OFF',
  'VERSION_HOLDS_BACK',
  'NEWER_VERSION',
  'INSECURE',
  'CERTIFICATE',
  'MIRROR_AWAY',
  'NO_RESERVE',
] as const;

export type FindingCode = (typeof FINDING_CODES)[number];

export interface Finding {
  readonly code: FindingCode;
  /** `problem`: something does not work, or what was acknowledged is in danger. `warning`: it works, and something will not, or not as it could. */
  readonly severity: 'problem' | 'warning';
  /** Whom it is about: `node 3`, `the cluster`, or a directory. */
  readonly about: string;
  readonly seen: string;
  readonly expected: string;
  /** The next command, or the next step. */
  readonly todo: string;
}

/** Findings of these codes keep nothing from working now; those of the others do, or put in danger what was acknowledged. */
const WARNINGS: readonly FindingCode[] = [
  'NOT_A_VOTER',
  'DISK_LOW',
  'DISK_SLOW',
  'VERSION_HOLDS_BACK',
  'INSECURE',
  'CERTIFICATE',
  'NO_RESERVE',
];

/** A finding of the severity that its code has. */
export function finding(code: FindingCode, about: string, seen: string, expected: string, todo: string): Finding {
  return { code, severity: WARNINGS.includes(code) ? 'warning' : 'problem', about, seen, expected, todo };
}

/** Each once, what is worst first. */
export function sorted(findings: readonly Finding[]): readonly Finding[] {
  const once = new Map(findings.map((each) => [`${each.code} ${each.about} ${each.seen}`, each]));
  const rank = ({ severity, code }: Finding): number => (severity === 'problem' ? 0 : FINDING_CODES.length) + FINDING_CODES.indexOf(code);
  return [...once.values()].sort((a, b) => rank(a) - rank(b) || a.about.localeCompare(b.about));
}

/** One finding, four lines. */
export function describeFinding({ code, severity, about, seen, expected, todo }: Finding): string {
  return `${severity}: ${about} (${code})\n  seen: ${seen}\n  expected: ${expected}\n  do: ${todo}`;
}
