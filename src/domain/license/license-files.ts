/** Words in the names of files that contain a license. @see go-license-detector: licenseFileNames */
const NAMES = [
  'li[cs]en[cs]es?',
  'legal',
  'copy(?:left|right|ing)',
  'unlicense',
  'l?gpl[-_ v]?(?:\\d\\.?\\d)?',
];
const MORE_NAMES = ['bsd', 'mit', 'apache'];
/** One of the names, delimited by separators or the ends. */
const LICENSE_FILE = new RegExp(`(?:^|[-_. ])(?:${[...NAMES, ...MORE_NAMES].join('|')})(?:[-_. ]|$)`, 'i');
const LINE_END = /[\n\r\u2028\u2029]/;
const NEVER = /^(?:readme|guidelines)(?:\.md|\.rst|\.html|\.txt)?$/i;
const CANONICAL = /^(?:(?:un)?licen[sc]e|copying)(?:\.md|\.txt|\.html|\.rst)?$/i;

/** Reports whether a file of this name may contain the license of a project. */
export function isLicenseFile(name: string): boolean {
  return LICENSE_FILE.test(name) && !LINE_END.test(name) && !NEVER.test(name);
}

/** Reports whether a name is the usual one, which takes precedence over others. */
export function isCanonicalName(name: string): boolean {
  return CANONICAL.test(name);
}
