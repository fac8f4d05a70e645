/** All that was found out about a NAT beyond its mapping and filtering, by axis. An axis not measured is absent. */
import type { Axis } from './axis.ts';
import { assessCollisions, type CollisionsAxis, describeCollisions } from './collisions.ts';
import type { Evidence } from './evidence.ts';
import { assessFragments, describeFragments, type FragmentsAxis } from './fragments.ts';
import { assessHairpin, describeHairpin, type HairpinAxis } from './hairpin.ts';
import { assessLayers, describeLayers, type LayersAxis } from './layers.ts';
import { assessMangling, describeMangling, type ManglingAxis } from './mangling.ts';
import { assessNextPort, describeNextPort, type NextPort } from './next-port.ts';
import { assessPooling, describePooling, type PoolingAxis } from './pooling.ts';
import { assessPorts, describePorts, type PortsAxis } from './ports.ts';
import { assessTcp, describeTcp, type TcpAxis } from './tcp.ts';
import { assessTranslation, describeTranslation, type TranslationAxis } from './translation.ts';
import { assessUnsolicited, describeUnsolicited, type UnsolicitedAxis } from './unsolicited.ts';

export interface Axes {
  readonly ports?: PortsAxis;
  /** Where a mapping towards a new endpoint would be; absent where no socket was seen from outside. */
  readonly nextPort?: NextPort;
  readonly pooling?: PoolingAxis;
  readonly collisions?: CollisionsAxis;
  readonly unsolicited?: UnsolicitedAxis;
  readonly hairpin?: HairpinAxis;
  readonly mangling?: ManglingAxis;
  readonly fragments?: FragmentsAxis;
  readonly tcp?: TcpAxis;
  readonly layers?: LayersAxis;
  readonly translation?: TranslationAxis;
}

/** What inquiries of their own collected, by the inquiry. */
export interface AxisEvidence {
  readonly ports?: readonly Evidence[];
  readonly collisions?: readonly Evidence[];
  readonly unsolicited?: readonly Evidence[];
  readonly hairpin?: readonly Evidence[];
  readonly fragments?: readonly Evidence[];
  readonly tcp?: readonly Evidence[];
  readonly layers?: readonly Evidence[];
  /** The NAT64 prefixes that the network's DNS shows. */
  readonly translation?: readonly Evidence[];
}

/**
 * Judges each axis from its own evidence, or from the classification's where that tells it too. Pure,
 * the same in the probe and in the server. Throws TypeError if an inquiry's evidence lacks its `run`.
 */
export function assessAxes(evidence: AxisEvidence, classification: readonly Evidence[]): Axes {
  const { ports, collisions, unsolicited, hairpin, fragments, tcp, layers, translation } = evidence;
  return {
    ...(ports !== undefined && assessPortAxes(ports, collisions)),
    ...(unsolicited !== undefined && { unsolicited: assessUnsolicited(unsolicited) }),
    ...(hairpin !== undefined && { hairpin: assessHairpin(hairpin) }),
    mangling: assessMangling(classification),
    ...(fragments !== undefined && { fragments: assessFragments(fragments) }),
    ...(tcp !== undefined && { tcp: assessTcp(tcp) }),
    ...(layers !== undefined && { layers: assessLayers(layers) }),
    translation: assessTranslation(classification, translation),
  };
}

function assessPortAxes(ports: readonly Evidence[], collisions: readonly Evidence[] | undefined): Axes {
  const axis = assessPorts(ports);
  const nextPort = assessNextPort(axis, ports);
  // Only with a second inside address can it be seen that each has a public one of its own.
  const withSecond = collisions === undefined ? undefined : assessPooling(collisions);
  return {
    ports: axis,
    ...(nextPort !== undefined && { nextPort }),
    pooling: withSecond?.value === 'paired' ? withSecond : assessPooling(ports),
    collisions: assessCollisions(collisions ?? ports),
  };
}

/** One axis for people: what stands before it, and what it says. */
export interface AxisRow {
  readonly label: string;
  readonly sentences: readonly string[];
}

/** In the order in which people are told. */
export function describeAxes(axes: Axes): AxisRow[] {
  const {
    ports,
    nextPort,
    pooling,
    collisions,
    unsolicited,
    hairpin,
    mangling,
    fragments,
    tcp,
    layers,
    translation,
  } = axes;
  const isTranslated = layers?.value !== 'none';
  return [
    ...row(
      'Ports',
      isTranslated &&
        ports && [
          sayAxis(ports, describePorts(ports)),
          ...(nextPort === undefined ? [] : [describeNextPort(nextPort)]),
        ],
    ),
    ...row('Addresses', isTranslated && pooling && [sayAxis(pooling, describePooling(pooling))]),
    ...row('Collisions', isTranslated && collisions && [sayCollisions(collisions)]),
    ...row('Unasked', unsolicited && [sayAxis(unsolicited, describeUnsolicited(unsolicited))]),
    ...row('Hairpin', hairpin && [sayAxis(hairpin, describeHairpin(hairpin))]),
    ...row('Payload', mangling && [sayAxis(mangling, describeMangling(mangling))]),
    ...row('Fragments', fragments && [sayAxis(fragments, describeFragments(fragments))]),
    ...row('TCP', tcp && describeTcp(tcp)),
    ...row('Translation', translation && describeTranslation(translation)),
    ...row('Layers', layers && describeLayers(layers)),
  ];
}

function row(label: string, sentences: readonly string[] | false | undefined): AxisRow[] {
  return sentences === undefined || sentences === false ? [] : [{ label, sentences }];
}

/** What isn't known is said with the reason. */
function sayAxis({ value, reasons }: Axis<string>, text: string): string {
  const [reason] = reasons;
  return value === 'unknown' && reason !== undefined ? `unknown: ${reason.text}` : text;
}

/** What was seen by chance says more than why that doesn't tell. */
function sayCollisions(axis: CollisionsAxis): string {
  const text = describeCollisions(axis);
  return axis.byChance === undefined ? sayAxis(axis, text) : text;
}
