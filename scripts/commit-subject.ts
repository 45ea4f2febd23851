/** Rules for the first line of a commit message. */

const MAX_LENGTH = 65;

/** Subjects that git writes itself. */
const BY_GIT = /^(?:Merge |Revert "|Reapply "|fixup! |squash! |amend! )/;

const AREA = /^[a-z0-9@._*/{}-]+(?:, [a-z0-9@._*/{}-]+)*: (?=\S)/;

/** Words that begin a statement or a noun phrase. */
const NO_VERBS = new Set(
  (
    'a an the this that these those it its they there one two three no not some any many few ' +
    'fewer more most less all both each every only also other another same such own our new old ' +
    'what whatever when where which while who whose why how if as at by for from in into of on ' +
    'over to under with without after before and or but nothing nobody today now then here too ' +
    'very still always never maybe'
  ).split(' '),
);

/** Verbs that end as participles, gerunds and plurals do. */
const VERBS = new Set(
  (
    'bring ping string ring swing cling fling spring embed feed need seed shed speed exceed ' +
    'proceed succeed bleed breed heed weed wed bypass pass process compress express press ' +
    'suppress access address assess cross discuss dismiss focus guess kiss miss possess progress ' +
    'stress toss trespass amass bias canvas harness'
  ).split(' '),
);

/** Verbs among the words that end in -tion. */
const TION = new Set('mention question position partition condition section caution function'.split(' '));

/** Words that follow a subject and seldom a verb: `memory is returned`, `sizes of packs`. */
const AFTER_NOUNS =
  /^(?:is|are|was|were|has|have|had|does|do|did|can|cannot|may|might|must|will|would|should|of|that|which|who|whose|stays?|gets?|ends?|goes|knows?)$/;

/**
 * Returns the problem of a subject; `undefined` if it has none. It has the form
 * `area: imperative verb …`. Words that may be a verb or a noun pass.
 */
export function subjectProblem(subject: string): string | undefined {
  if (BY_GIT.test(subject)) return undefined;
  const length = [...subject].length;
  if (length > MAX_LENGTH) return `${length} characters; the limit is ${MAX_LENGTH}`;
  const area = AREA.exec(subject)?.[0];
  if (area === undefined) return 'begin with the changed module: git/objects: reuse cat-file …';
  const [first = '', second = ''] = subject.slice(area.length).split(/[\s,;:]+/);
  if (!isPossibleVerb(first)) return `“${first}” is no imperative verb: add, remove, rename, fix …`;
  if (AFTER_NOUNS.test(second)) return `“${first} ${second}” is a statement: begin with an imperative verb`;
  return undefined;
}

function isPossibleVerb(word: string): boolean {
  if (VERBS.has(word)) return true;
  if (word.endsWith('tion') && !TION.has(word)) return false;
  return /^[a-z]+(?:-[a-z]+)*$/.test(word) && !NO_VERBS.has(word) && !/(?:ing|ed|s)$/.test(word);
}
