/**
 * AWS's clients for JavaScript read AWS_REGION and the profile; the AWS CLI reads AWS_DEFAULT_REGION between the two (AWS
 * CLI user guide, "Environment variables"). Whoever set that for the CLI means it here too, and not another Region.
 *
 * @returns what is to be added to the environment
 */
export function withRegion({ AWS_REGION: region, AWS_DEFAULT_REGION: standard }: NodeJS.ProcessEnv): {
  readonly AWS_REGION?: string;
} {
  return region || !standard ? {} : { AWS_REGION: standard };
}
