/** `report.json`: the report model with its keys in the order of the schema, two spaces deep. */
import { type ReportModel, reportSchema } from './schema/report.ts';

/**
 * The report as JSON text. The schema rebuilds every object in its own key order, so the bytes do not depend on how the
 * model was put together. Throws `ZodError` when the model does not satisfy the published schema.
 */
export function reportJson(model: ReportModel): string {
  return `${JSON.stringify(reportSchema.parse(model), null, 2)}\n`;
}
