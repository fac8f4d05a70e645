import { formatEndpoint } from '../../../shared/endpoint.ts';
import { PORT_MAPPER_NAMES } from '../../../shared/nat/layers.ts';
import type { MappedPort, PortMappingReport } from '../../../shared/report/port-mapping.ts';

/** In plain words: what was mapped, whether it works, what became of it. */
export function describePortMapping(report: PortMappingReport): readonly string[] {
  if (report.outcome === 'failed') return [report.reason.text];
  const { external, local, transport, protocol, gateway, verification } = report;
  const { address, port } = external;
  const outside = address === undefined ? `port ${port}` : formatEndpoint({ address, port });
  const kind = transport.toUpperCase();
  return [
    `${gateway} maps ${kind} ${outside} to ${formatEndpoint(local)} (${PORT_MAPPER_NAMES[protocol]})`,
    ...verification.reasons.map(({ text }) => text),
    describeRemoval(report),
  ];
}

function describeRemoval({ removal, lifetimeSeconds }: MappedPort): string {
  const until = lifetimeSeconds === 'unlimited' ? 'until it is removed by hand' : `for ${lifetimeSeconds} s`;
  switch (removal) {
    case 'removed':
      return 'the mapping is removed again';
    case 'kept':
      return `the mapping stays ${until}`;
    case 'left':
      return `the router did not confirm the removal: the mapping stays ${until}`;
  }
}
