import type { SyntaxNode } from '@lezer/common';
import { parser } from '@prometheus-io/lezer-promql';

/** A metric in a query with the labels that the query reads from it. */
export interface QueriedMetric {
  readonly name: string;
  /** Labels of its matchers, and of `by`, `on` and similar around it. */
  readonly labels: readonly string[];
  /** Values of `le` that its matchers require. */
  readonly bounds: readonly string[];
}

/**
 * Parses a query with Prometheus' own grammar and returns its metrics. Grafana's variables in
 * durations represent a time and are replaced.
 *
 * @throws {Error} if the query is not valid.
 */
export function queriedMetrics(query: string): QueriedMetric[] {
  const text = query.replaceAll('$__rate_interval', '5m');
  const found: QueriedMetric[] = [];
  const nodeText = ({ from, to }: SyntaxNode): string => text.slice(from, to);
  const visit = (node: SyntaxNode, outer: readonly string[]): void => {
    if (node.type.isError) throw new Error(`not valid at ${node.from}: ${text}`);
    if (node.name === 'VectorSelector') found.push(selectorOf(node, outer, nodeText));
    const labels = groupingOf(node).flatMap((grouping) => grouping.getChildren('LabelName').map(nodeText));
    for (let child = node.firstChild; child !== null; child = child.nextSibling)
      visit(child, [...outer, ...labels]);
  };
  visit(parser.parse(text).topNode, []);
  return found;
}

function groupingOf(node: SyntaxNode): readonly SyntaxNode[] {
  const inner = [...node.getChildren('AggregateModifier'), ...node.getChildren('MatchingModifierClause')];
  return inner.flatMap((modifier) => modifier.getChildren('GroupingLabels'));
}

function selectorOf(
  node: SyntaxNode,
  outer: readonly string[],
  nodeText: (node: SyntaxNode) => string,
): QueriedMetric {
  const name = node.getChild('Identifier');
  const matchers = node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? [];
  const labels = matchers.flatMap((matcher) => matcher.getChildren('LabelName').map(nodeText));
  const bounds = matchers
    .map(nodeText)
    .flatMap((matcher) => Array.from(matcher.matchAll(/^le\s*=\s*"([^"]+)"$/g), ([, bound = '']) => bound));
  return { name: name === null ? '' : nodeText(name), labels: [...outer, ...labels], bounds };
}
