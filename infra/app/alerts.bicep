// What an operator must hear of without looking: failed operations, certificates that end soon,
// events that could not be delivered.
param name string
param location string
param tags object
param insightsName string
param topicId string
param vaultEventsName string
param email string

var queries = [
  {
    name: 'failed-operations'
    text: 'An operation on a tenant failed'
    severity: 2
    frequency: 'PT15M'
    window: 'PT15M'
    query: loadTextContent('../queries/failed-operations.kql')
  }
  {
    name: 'expiring-certificates'
    text: 'The certificate of a tenant ends within 30 days'
    severity: 2
    frequency: 'P1D'
    window: 'P2D'
    query: loadTextContent('../queries/expiring-certificates.kql')
  }
]

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource vaultEvents 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: vaultEventsName
}

var watched = [
  topicId
  vaultEvents.id
]

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(email)) {
  name: 'ag-${name}'
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'onboarding'
    emailReceivers: [
      {
        name: 'operators'
        emailAddress: email
        useCommonAlertSchema: true
      }
    ]
  }
}

var told = empty(email) ? [] : [
  people.id
]

resource rules 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [for query in queries: {
  name: '${query.name}-${name}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: query.text
    severity: query.severity
    enabled: true
    evaluationFrequency: query.frequency
    windowSize: query.window
    scopes: [
      insights.id
    ]
    criteria: {
      allOf: [
        {
          query: query.query
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
        }
      ]
    }
    actions: {
      actionGroups: told
    }
  }
}]

resource deadLetters 'Microsoft.Insights/metricAlerts@2018-03-01' = [for (topic, i) in watched: {
  name: 'dead-letters-${i}-${name}'
  location: 'global'
  tags: tags
  properties: {
    description: 'An event could not be delivered and lies in the container dead-letters'
    severity: 2
    enabled: true
    evaluationFrequency: 'PT15M'
    windowSize: 'PT15M'
    scopes: [
      topic
    ]
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          criterionType: 'StaticThresholdCriterion'
          name: 'dead-lettered'
          metricName: 'DeadLetteredCount'
          timeAggregation: 'Total'
          operator: 'GreaterThan'
          threshold: 0
        }
      ]
    }
    actions: [for group in told: {
      actionGroupId: group
    }]
  }
}]
