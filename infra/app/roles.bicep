// Every right in Azure that anything of ours has. tests/infra/roles.json repeats the list, so that
// nothing is added in passing. Rights in Microsoft Graph are in ../identity.
param principalId string
param storageName string
param vaultName string
param insightsName string
param topicName string
param topicPrincipalId string
param vaultEventsPrincipalId string

@description('Empty unless the durable backend is the scheduler')
param schedulerName string

@description('Audits look at certificates; they never make one')
param auditOnly bool

var role = {
  certificatesOfficer: 'a4417e6f-fecd-4de8-b567-7b0420556985'
  certificateUser: 'db79e9a7-68ee-4b58-9aeb-b90e7c24fcba'
  secretsUser: '4633458b-17de-408a-b874-0445c86b69e6'
  blobOwner: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  blobContributor: 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
  queueContributor: '974c5e8b-45b9-4653-ba55-5f855dd0fb88'
  tableContributor: '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
  metricsPublisher: '3913510d-42f4-4e42-8a64-420c390055eb'
  eventSender: 'd5a91429-5739-47e2-a06b-3470a27159e7'
  durableTaskContributor: '0ad04412-c4d5-4796-b79c-f76d14c8d402'
}

resource storage 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: storageName
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' existing = {
  parent: storage
  name: 'default'
}

resource deadLetters 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' existing = {
  parent: blobs
  name: 'dead-letters'
}

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' existing = {
  name: vaultName
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource topic 'Microsoft.EventGrid/topics@2025-02-15' existing = {
  name: topicName
}

resource scheduler 'Microsoft.DurableTask/schedulers@2025-11-01' existing = if (!empty(schedulerName)) {
  name: schedulerName
}

@description('Why: the host keeps its locks in blobs (it asks for Owner), the durable backend its leases and large messages, and Flex Consumption fetches the package from there.')
resource hostBlobs 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(storage.id, principalId, role.blobOwner)
  scope: storage
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.blobOwner)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

@description('Why: the durable backend works through queues that it makes itself, and queue triggers read and delete messages.')
resource hostQueues 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(storage.id, principalId, role.queueContributor)
  scope: storage
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.queueContributor)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

@description('Why: tenant records are a table, and so is the history of the durable backend.')
resource hostTables 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(storage.id, principalId, role.tableContributor)
  scope: storage
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.tableContributor)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

@description('Why: certificates of tenants are made, imported, tagged and renewed in the vault; an audit only reads them.')
resource vaultCertificates 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, principalId, auditOnly ? role.certificateUser : role.certificatesOfficer)
  scope: vault
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', auditOnly ? role.certificateUser : role.certificatesOfficer)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

@description('Why: Mondoo is given key and certificate in one PEM, and a private key is read as the secret behind its certificate; the Mondoo service account is a secret too.')
resource vaultSecrets 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, principalId, role.secretsUser)
  scope: vault
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.secretsUser)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

@description('Why: Application Insights refuses keys, so the host sends telemetry with its identity.')
resource telemetry 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(insights.id, principalId, role.metricsPublisher)
  scope: insights
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.metricsPublisher)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

@description('Why: results are announced on the topic, which refuses keys.')
resource announcements 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(topic.id, principalId, role.eventSender)
  scope: topic
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.eventSender)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

@description('Why: the durable backend, when it is the scheduler, is reached with the identity alone.')
resource durableBackend 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(schedulerName)) {
  name: guid(resourceGroup().id, schedulerName, principalId, role.durableTaskContributor)
  scope: scheduler
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.durableTaskContributor)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

@description('Why: what the topic could not deliver is kept where an operator finds it; this one container only.')
resource topicDeadLetters 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(deadLetters.id, topicPrincipalId, role.blobContributor)
  scope: deadLetters
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.blobContributor)
    principalId: topicPrincipalId
    principalType: 'ServicePrincipal'
  }
}

@description('Why: the same for events of the vault.')
resource vaultEventsDeadLetters 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(deadLetters.id, vaultEventsPrincipalId, role.blobContributor)
  scope: deadLetters
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.blobContributor)
    principalId: vaultEventsPrincipalId
    principalType: 'ServicePrincipal'
  }
}
