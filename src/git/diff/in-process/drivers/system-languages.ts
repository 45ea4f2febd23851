import { linearRegexp } from '#base/go/regexp/linear-regexp';
import type { LineRule } from './line-rule.ts';

/** Rules of languages with types, mostly. @see git: gitattributes(5), userdiff.c */

export const ADA: readonly LineRule[] = [
  { not: /(?:^|[ \t])(?:is[ \t]+(?:new|separate)|renames)(?:[ \t]|$)/i },
  { not: /^[ \t]*with[ \t]/i },
  { name: /^[ \t]*(?:procedure|function|package|protected|task)[ \t]/i },
];

export const CPP: readonly LineRule[] = [
  { not: /^[ \t]*[A-Za-z_]\w*:[ \t\v\f\r]*(?:$|\/[/*])/ },
  { name: /^(?:::[ \t\v\f\r]*)?[A-Za-z_]/ },
];

const CSHARP_SCOPES = 'static|public|internal|private|protected|new|unsafe|sealed';
const CSHARP_TYPES: readonly LineRule[] = [
  {
    name: new RegExp(
      String.raw`^[ \t]*(?:(?:${CSHARP_SCOPES}|abstract|partial)[ \t]+)*` +
        String.raw`(?:class|enum|interface|struct|record)[ \t]`,
    ),
  },
  { name: /^[ \t]*namespace[ \t]/ },
];

/** A type or a name, with types in angle brackets. */
const CSHARP_WORD = String.raw`(?:[\]\[[:alnum:]@_.](?:<[\]\[[:alnum:]@_, \t<>]+>)?)+`;
const CSHARP_WORDS = String.raw`^[ \t]*${CSHARP_WORD}(?:[ \t]+${CSHARP_WORD})+`;

/** Words that seem to be names of methods. */
const CSHARP_STATEMENTS =
  'do|while|for|foreach|if|else|new|default|return|switch|case|throw|catch|using|lock|fixed';

export const CSHARP: readonly LineRule[] = [
  { not: new RegExp(String.raw`(?:^|[ \t])(?:${CSHARP_STATEMENTS})(?:[ \t(]|$)`) },
  { name: linearRegexp(String.raw`${CSHARP_WORDS}[ \t]*\([^;]*$`) },
  { name: linearRegexp(`${CSHARP_WORDS}[^;=:,()]*$`) },
  ...CSHARP_TYPES,
];

/** Rules before git 2.45. */
export const OLD_CSHARP: readonly LineRule[] = [
  { not: /^[ \t]*(?:do|while|for|if|else|instanceof|new|return|switch|case|throw|catch|using)/ },
  {
    name: new RegExp(
      String.raw`^[ \t]*(?:(?:${CSHARP_SCOPES}|virtual|override|async)[ \t]+)*` +
        String.raw`[\][<>@.~\w]+[ \t]+[<>@.\w]+[ \t]*\(.*\)[ \t]*$`,
      's',
    ),
  },
  {
    name: new RegExp(
      String.raw`^[ \t]*(?:(?:${CSHARP_SCOPES}|virtual|override)[ \t]+)*` +
        String.raw`[\][<>@.~\w]+[ \t]+[@.\w]+[ \t]*$`,
    ),
  },
  ...CSHARP_TYPES,
];

export const DTS: readonly LineRule[] = [{ not: /[;=]/ }, { name: /^[ \t]*(?:\/[ \t]*\{|&?[a-zA-Z_])/ }];

export const FORTRAN: readonly LineRule[] = [
  { not: /^(?:[C*]|[ \t]*!)/i },
  { not: /^[ \t]*module[ \t]+procedure[ \t]/i },
  { name: /^[ \t]*(?:end[ \t]+)?(?:program|module|block[ \t]+data)[ \t]+[a-z]/i },
  { name: /^[ \t]*(?:[^!'" \t]+[ \t]+)*(?:subroutine|function)[ \t]+[a-z]/i },
];

export const GOLANG: readonly LineRule[] = [
  { name: /^[ \t]*func/ },
  { name: /^[ \t]*(type[ \t].*(?:struct|interface)[ \t]*(?:\{[ \t]*)?)/s },
];

const JAVA_METHODS: LineRule = {
  name: /^[ \t]*(?:[A-Za-z_<>&][\][?&<>.,\w]*[ \t]+)+[A-Za-z_]\w*[ \t]*\([^;]*$/,
};
const NOT_IN_JAVA: LineRule = {
  not: /^[ \t]*(?:catch|do|for|if|instanceof|new|return|switch|throw|while)/,
};

export const JAVA: readonly LineRule[] = [
  NOT_IN_JAVA,
  { name: /^[ \t]*(?:[a-z-]+[ \t]+)*(?:class|enum|interface|record)[ \t]/ },
  JAVA_METHODS,
];

/** Rules before git 2.40. */
export const OLD_JAVA: readonly LineRule[] = [
  NOT_IN_JAVA,
  { name: /^[ \t]*(?:[a-z]+[ \t]+)*(?:class|enum|interface)[ \t]+[A-Za-z][\w$]*[ \t]/ },
  JAVA_METHODS,
];

export const KOTLIN: readonly LineRule[] = [{ name: /^[ \t]*(?:[a-z]+[ \t]+)*(?:fun|class|interface)[ \t]/ }];

export const OBJC: readonly LineRule[] = [
  { not: /^[ \t]*(?:do|for|if|else|return|switch|while)/ },
  { name: /^[ \t]*[-+][ \t]*\([ \t]*[A-Za-z_][\w* \t]*\)[ \t]*[A-Za-z_]/ },
  { name: /^[ \t]*(?:[A-Za-z_]\w*[ \t]+)+[A-Za-z_]\w*[ \t]*\([^;]*$/ },
  { name: /^@(?:implementation|interface|protocol)[ \t]/ },
];

export const PASCAL: readonly LineRule[] = [
  { name: /^(?:(?:class[ \t]+)?(?:procedure|function)|constructor|destructor)/ },
  { name: /^(?:interface|implementation|initialization|finalization)/ },
  { name: /^(.*=[ \t]*(?:class|record).*)/s },
];

export const RUST: readonly LineRule[] = [
  {
    name: new RegExp(
      String.raw`^[ \t]*(?:pub(?:\([^\\)]+\))?[ \t]+)?` +
        String.raw`(?:(?:async|const|unsafe|extern[ \t]+"[^"]+")[ \t]+)?` +
        String.raw`(?:struct|enum|union|mod|trait|fn|impl|macro_rules!)[< \t][^;]*$`,
    ),
  },
];
