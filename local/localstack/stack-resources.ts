import * as z from 'zod';

/** An answer of the query protocol as JSON, which LocalStack writes when asked for it. */
const resource = z.object({ LogicalResourceId: z.string(), PhysicalResourceId: z.string() });
const page = z.object({
  ListStackResourcesResponse: z.object({
    ListStackResourcesResult: z.object({
      StackResourceSummaries: z.object({ member: z.array(resource) }),
      NextToken: z.string().optional(),
    }),
  }),
});

/**
 * A stack's resources by logical id, with what CloudFormation's Ref gives (ListStackResources, CloudFormation API
 * reference). By plain HTTP: it is the one call to CloudFormation in the project, not worth a client.
 */
export async function stackResources(
  endpoint: string,
  region: string,
  stackName: string,
): Promise<Record<string, { readonly ref: string }>> {
  const resources: Record<string, { readonly ref: string }> = {};
  for (let token: string | undefined = ''; token !== undefined; ) {
    const parameters = { Action: 'ListStackResources', Version: '2010-05-15', StackName: stackName };
    const response = await fetch(endpoint, {
      method: 'POST',
      headers: {
        accept: 'application/json',
        // No signature is verified; the scope says which service and Region are meant.
        authorization: `AWS4-HMAC-SHA256 Credential=local/20260101/${region}/cloudformation/aws4_request, SignedHeaders=host, Signature=none`,
      },
      body: new URLSearchParams(token === '' ? parameters : { ...parameters, NextToken: token }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`LocalStack does not list the stack ${stackName}: ${response.status} ${text}`);
    const { ListStackResourcesResult: result } = page.parse(JSON.parse(text)).ListStackResourcesResponse;
    for (const { LogicalResourceId: id, PhysicalResourceId: ref } of result.StackResourceSummaries.member) {
      resources[id] = { ref };
    }
    token = result.NextToken;
  }
  return resources;
}
