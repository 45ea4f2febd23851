import type { LineRule } from './line-rule.ts';

/** Rules of scripts, markup and others. @see git: gitattributes(5), userdiff.c */

export const BASH: readonly LineRule[] = [
  { name: /^[ \t]*(?:[a-zA-Z_]\w*[ \t]*\([ \t]*\)|function[ \t]+[a-zA-Z_]\w*(?:[ \t]*\([ \t]*\)|[ \t]))/ },
];

/** Rules before git 2.50. */
export const OLD_BASH: readonly LineRule[] = [
  { name: /^[ \t]*([a-zA-Z_]\w*[ \t]*\([ \t]*\))/ },
  { name: /^[ \t]*(function[ \t]+[a-zA-Z_]\w*(?:[ \t]*\([ \t]*\)|[ \t])[ \t]*(?:\{|\(\(?|\[\[))/ },
];

export const BIBTEX: readonly LineRule[] = [{ name: /(@[a-zA-Z]+[ \t]*\{?[ \t]*[^ \t"@',\\#}{~%]*)/ }];

export const CSS: readonly LineRule[] = [{ not: /[:;][ \t\v\f\r]*$/ }, { name: /^[:[@.#]?[_a-z0-9]/i }];

export const ELIXIR: readonly LineRule[] = [
  { name: /^[ \t]*(?:def(?:macro|module|impl|protocol|p)?|test)[ \t]/ },
];

export const FOUNTAIN: readonly LineRule[] = [{ name: /^(?:\.[^.]|(?:int|ext|est|int\.?\/ext|i\/e)[. ])/i }];

export const HTML: readonly LineRule[] = [{ name: /^[ \t]*<[Hh][1-6](?:[ \t].*)?>/s }];

export const INI: readonly LineRule[] = [{ name: /^([ \t]*\[[^\]]+\])/ }];

export const MARKDOWN: readonly LineRule[] = [{ name: /^( {0,3}#{1,6}[ \t].*)/s }];

export const MATLAB: readonly LineRule[] = [
  { name: /^[ \t\v\f\r]*((?:classdef|function)[ \t\v\f\r].*)/s },
  { name: /^(?:%%%?|##)[ \t\v\f\r]/ },
];

export const PERL: readonly LineRule[] = [
  { name: /^package / },
  // Of a subroutine with a prototype, the prototype is shown.
  { name: /^sub [\w':]+[ \t]*(\([^)]*\)[ \t]*)(?::[^;#]*|\{[ \t]*)?(?:#.*)?$/s },
  { name: /^sub [\w':]+[ \t]*(?:\{[ \t]*)?(?:#.*)?$/s },
  { name: /^sub [\w':][\w']*[ \t]*:[^;#]*(?:#.*)?$/s },
  { name: /^(BEGIN|END|INIT|CHECK|UNITCHECK|AUTOLOAD|DESTROY)[ \t]*(?:\{[ \t]*)?(?:#.*)?$/s },
  { name: /^=head[0-9] / },
];

export const PHP: readonly LineRule[] = [
  { name: /^[ \t]*(?:(?:public|protected|private|static|abstract|final)[ \t]+)*function/ },
  { name: /^[ \t]*(?:(?:(?:final|abstract)[ \t]+)?class|enum|interface|trait)/ },
];

export const PYTHON: readonly LineRule[] = [{ name: /^[ \t]*(?:class|(?:async[ \t]+)?def)[ \t]/ }];

export const R: readonly LineRule[] = [{ name: /^[ \t]*[A-z][a-zA-Z0-9_.]*[ \t]*(?:<-|=)[ \t]*function/ }];

export const RUBY: readonly LineRule[] = [{ name: /^[ \t]*(?:class|module|def)[ \t]/ }];

/** Rules before git 2.55. */
export const OLD_SCHEME: readonly LineRule[] = [
  { name: /^[ \t]*\((?:define|def(?:struct|syntax|class|method|rules|record|proto|alias)?)[-*/ \t]/ },
  { name: /^[ \t]*\((?:library|module|struct|class)[*+ \t]/ },
];

export const SCHEME: readonly LineRule[] = [
  { name: /^\(/ },
  ...OLD_SCHEME,
  { name: /^ {1,2}\([Dd][Ee][Ff]/ },
];

export const TEX: readonly LineRule[] = [{ name: /^\\(?:(?:sub)*section|chapter|part)\*?\{/ }];
