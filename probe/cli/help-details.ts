import { EXIT_CODE_LINES } from './exit-codes.ts';
import { WIDTH, wrap } from '../../shared/wrap.ts';

/** The lines of the report by their labels, each in a sentence. The last ones are there only if asked for. */
export const REPORT_LINES: readonly (readonly [label: string, sentence: string])[] = [
  ['NAT type', 'the classic name, and the mapping and filtering behind it'],
  ['Mapping', 'whether every peer sees the same public endpoint, or each another one'],
  [
    'Filtering',
    'who may send to that endpoint: anyone, an address that was sent to, or only an address and port',
  ],
  ['Local', 'the endpoint here'],
  ['Public', 'the endpoint as the server saw it; nothing translates if it is the local one'],
  ['Peers', 'who can reach this machine'],
  ['Punching', 'the types of peer that a plain hole punch should work with'],
  ['Confidence', 'the probability that mapping and filtering are as said, and what it rests on'],
  ['Server', 'who was asked, and its second address, which the filtering tests used'],
  ['Took', 'from the first packet to the verdict, and what --full took after it'],
  ['Ports', "how the NAT picks public ports, and where a socket's next one will be (--full)"],
  ['Addresses', 'one public address, a pool of them, or two uplinks (--full)'],
  ['Collisions', 'what becomes of two inside hosts on the same port (--full, --also)'],
  ['Unasked', 'whether a packet that nobody asked for changes the next mapping (--full)'],
  ['Hairpin', 'whether inside hosts reach each other by their public endpoints (--hairpin)'],
  ['Payload', 'whether a gateway rewrites addresses inside packets (--full)'],
  ['Fragments', 'whether UDP packets longer than a frame pass, each way (--full)'],
  ['TCP', 'mapping, filtering, unsolicited SYNs and simultaneous open over TCP (--full)'],
  ['Layers', 'how many NATs there are at least, VPNs, port mappers (--full)'],
  ['Port map', 'what the router maps a port to, and whether that works from outside (--map-port)'],
  ['Report', 'where the server keeps the report, for a browser (--report)'],
  ['IPv4, IPv6', 'the family that the lines above are not about, or why it was not classified'],
];

/** What the help of natprobe says after its options. */
export function helpDetails(): string {
  return `
Without --server it asks the servers in NATPROBE_SERVER (separated by commas),
else those of the configuration file, else a list of public ones that are not
verified. That file is $XDG_CONFIG_HOME/natprobe/config.json, or else
~/.config/natprobe/config.json; its keys are server, alt, family, localPort,
timeout, gentle and color. Options win over the environment, that over the file.

Both address families are tested at the same time unless one is chosen. Results
go to standard output, everything else to standard error. Terminals get colour;
NO_COLOR turns it off, FORCE_COLOR on, and --no-color wins over both.

Lines of the report:
${reportLines().join('\n')}

Exit codes:
${EXIT_CODE_LINES.map(([code, meaning]) => `  ${code}  ${meaning}`).join('\n')}

Examples:
  natprobe --server stun.example.org          name the NAT
  natprobe -s 192.0.2.1 -4 --verbose          IPv4 only, with every test shown
  natprobe -s a.example.org -s b.example.org  two servers with one address each
  natprobe -s 192.0.2.1 --json | jq -r .verdict.type
  natprobe -s 192.0.2.1 --local-port 51820    from the port a tunnel will use
  natprobe -s 192.0.2.1 --full                also ports, TCP, layers, ...
  natprobe -s 192.0.2.1 --report              hand the report to the server
  natprobe watch -s 192.0.2.1 --every 30      say when the NAT changes
  natprobe lifetime -s 192.0.2.1 --max 60     how long a mapping lives
  natprobe predict symmetric EIM/APDF         would a punch between them work?
  natprobe preflight EIM/APDF -s 192.0.2.1    and from here, to such a peer?
  natprobe doctor -s 192.0.2.1                is that server set up right?
  natprobe join alice -s 192.0.2.1            be there for others
  natprobe punch alice -s 192.0.2.1 --chat    open a hole to alice, and chat
`;
}

function reportLines(): string[] {
  return REPORT_LINES.flatMap(([label, sentence]) => wrap(`  ${label.padEnd(11)} ${sentence}`, WIDTH, 14));
}
