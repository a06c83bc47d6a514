// AWS's own validator over the templates that are named: its errors, and those of its warnings that
// would fail in the account as well. One line per finding; exit 1 if there is any.
'use strict';
const validate = require('@aws/cloudformation-validate');

// Values that the service does not know, unused parameters, launch configurations.
const ERRORS_TO_US = new Set(['W3030', 'W2001', 'W3697']);

const engine = new validate.CelEngine();
let bad = 0;
for (const file of process.argv.slice(2)) {
  for (const finding of engine.validateStandard(new validate.TemplateFile(file)).diagnostics) {
    const severe = ['FATAL', 'ERROR'].includes(finding.severity) || ERRORS_TO_US.has(finding.ruleId);
    if (finding.severity === 'INFO' || finding.severity === 'DEBUG') continue;
    console.log(`${file}:${finding.startLine}: ${severe ? 'error' : 'warning'} ${finding.ruleId}: ${finding.message}`);
    if (severe) bad = 1;
  }
}
engine.free();
process.exit(bad);
