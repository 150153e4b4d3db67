import type { Operation } from '../operation.ts';
import { describeBackups, describeClusters } from './describe.ts';

/** CloudHSM v2's operations by name (`X-Amz-Target: BaldrApiService.<name>`). */
export const cloudHsmOperations: Readonly<Record<string, Operation>> = {
  DescribeBackups: describeBackups,
  DescribeClusters: describeClusters,
};
