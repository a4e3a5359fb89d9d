// A budget for the resource group: word at 80 % of what is spent and 100 % of what is foreseen.
param amount int
param email string

@description('First day of a month; Azure refuses to move it later, so it is set once')
param startDate string

resource budget 'Microsoft.Consumption/budgets@2023-11-01' = {
  name: 'onboarding'
  properties: {
    category: 'Cost'
    amount: amount
    timeGrain: 'Monthly'
    timePeriod: {
      startDate: startDate
    }
    notifications: {
      spent: {
        enabled: true
        operator: 'GreaterThan'
        threshold: 80
        thresholdType: 'Actual'
        contactEmails: [
          email
        ]
      }
      foreseen: {
        enabled: true
        operator: 'GreaterThan'
        threshold: 100
        thresholdType: 'Forecasted'
        contactEmails: [
          email
        ]
      }
    }
  }
}
