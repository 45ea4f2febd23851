/** A refused word or line, and the replacement to suggest. */
export interface WordRule {
  readonly pattern: RegExp;
  readonly instead: string;
}

/** Words that are refused everywhere: in code, comments and documents. */
export const WORDS: readonly WordRule[] = [
  { pattern: /\bdoors?\b|[a-z]Doors?(?![a-z])|\bDoor/, instead: 'gateway' },
  { pattern: /\brooms?\b|[a-z]Rooms?(?![a-z])|\bRoom/, instead: 'module, or dependencies (deps)' },
  { pattern: /\bwhatIsWrongWith\w+/, instead: 'a name of what is returned: objectIdProblem' },
  { pattern: /\batHand\b/, instead: 'cached' },
  { pattern: /\bNOBODYS_\w+/, instead: 'DUMMY_…' },
  { pattern: /\b(?:LAST_WORDS?|GOODBYE|LINGER)_MS\b/, instead: 'DRAIN_MS' },
  { pattern: /\bto the byte\b/, instead: 'byte-identical' },
  { pattern: /\b(?:has|have|had) a say in\b|\bhas no say in\b/, instead: 'affects' },
  { pattern: /\b(?:is|are) told of\b/, instead: 'is notified of' },
  { pattern: /\blast words\b/, instead: 'what is left to send; drain' },
  { pattern: /\bknows? nothing of\b/, instead: 'does not depend on' },
  { pattern: /\bat hand\b/, instead: 'cached, available' },
  { pattern: /\b[Jj]udge[sd]?\b/, instead: 'the reference git, the expected result' },
  { pattern: /\borLeaveToGit\b/, instead: 'inProcess' },
  { pattern: /\bgoodbye\b/i, instead: 'close, drain' },
];

/** Words that are refused in comments and documents; names and strings may contain them. */
export const PROSE_WORDS: readonly WordRule[] = [
  { pattern: /\bbeside\b/, instead: 'next to, in addition to' },
  { pattern: /\bbegun\b/, instead: 'started' },
  { pattern: /\bso many\b|\bso much\b/i, instead: 'this number of' },
  { pattern: /\bheld up\b|\bholds? up\b/, instead: 'delayed, blocked' },
  { pattern: /\b(?:and|or) the like\b/, instead: 'and similar' },
  { pattern: /\bstands? for\b/i, instead: 'represents, replaces' },
  { pattern: /\bturns? of the event loop\b/, instead: 'iteration of the event loop' },
  { pattern: /\bgives? way\b/, instead: 'what happens: is removed, is replaced' },
  { pattern: /\b(?:is|are|was|were) told\b(?! of\b)/, instead: 'is notified, receives' },
  { pattern: /\blooks whether\b/i, instead: 'checks whether' },
];

/** Words that are refused at the beginning of a doc comment. */
export const DOC_OPENINGS: readonly WordRule[] = [
  { pattern: /^\s*(?:\/\*)?\*+ What\b/, instead: 'a verb (Returns …) or a noun' },
  { pattern: /^\s*(?:\/\*)?\*+ Whether\b/, instead: 'Reports whether …' },
];

export const MAX_CODE_COLUMNS = 110;
export const MAX_TEXT_COLUMNS = 100;
