import type { MethodInfo, MethodKind } from '#wire/method-info';

/**
 * Returns the kind of a method's calls in logs and metrics. All methods of the nodes are served as
 * streams of frames in both directions, those that Praefect answers itself among them.
 */
export function servedKind({ intercepted, kind, path }: MethodInfo): MethodKind {
  return intercepted || !path.startsWith('/gitaly.') ? kind : 'bidi_stream';
}
