import type { GrantedGeneralName } from './granted-name.ts';
import { nameOf, withoutRange } from './grants.ts';
import { readAddressRange } from './ip-addresses.ts';
import type { GrantableNameTemplate } from './profile/general-names.ts';
import { labelPlaceholder } from './profile/texts.ts';

/** The first could be a device id, the second could not; of one character, as there may be place for no more. */
const labels = ['y', '_'] as const;

/** Names that a template seems to grant a device on request: its one name, or some of its family. */
export function sampleNames(template: GrantableNameTemplate, deviceId: string): readonly GrantedGeneralName[] {
  if (template.iPAddress !== undefined) {
    return (readAddressRange(template.iPAddress)?.samples ?? []).map((value) => ({ kind: 'iPAddress', value }));
  }
  const name = withoutRange(template);
  return labels.flatMap((label) => {
    const chosen = {
      ...name,
      ...(name.dNSName === undefined ? {} : { dNSName: name.dNSName.replaceAll(labelPlaceholder, label) }),
      ...(name.uniformResourceIdentifier === undefined
        ? {}
        : { uniformResourceIdentifier: name.uniformResourceIdentifier.replaceAll(labelPlaceholder, label) }),
    };
    return nameOf(chosen, deviceId) ?? [];
  });
}
