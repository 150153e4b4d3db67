import { startDynalite } from '../../local/embedded/emulators.ts';
import { forwardToEmulator } from '../../local/embedded/forward.ts';
import { type Gateway, startGateway } from '../../local/embedded/gateway.ts';

/** DynamoDB in memory, without tables. */
export function startDynamoDB(region: string): Promise<Gateway> {
  return startGateway(new Map([['dynamodb', forwardToEmulator(startDynalite(region))]]));
}
